"""A script over connections of its own."""

import gc
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from shared import valkey
from shared.errors import QueueUnavailable


def run(script: valkey.Script, keys: Sequence[str], args: Sequence[Any]) -> Any:
    """One call; what it returns, or its trouble raised."""
    [answer] = script.run_all([valkey.Call(keys, args)])
    if isinstance(answer, QueueUnavailable):
        raise answer
    return answer


ADD = "return redis.call('INCRBY', KEYS[1], ARGV[1])"


def test_a_script_runs_whether_valkey_has_seen_it_or_not(queue):
    script = valkey.Script(queue, ADD)
    queue.script_flush()
    assert run(script, keys=["n"], args=[2]) == 2
    assert run(script, keys=["n"], args=[3]) == 5
    queue.script_flush()
    assert run(script, keys=["n"], args=[1]) == 6


def test_many_threads_get_each_their_own_answer(queue):
    script = valkey.Script(queue, "return ARGV[1]")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: run(script, keys=[], args=[number]), range(500)))
    assert answers == [b"%d" % number for number in range(500)]
    assert len(script._idle) <= 8


def test_a_connection_that_valkey_closed_is_not_used_again(queue):
    script = valkey.Script(queue, ADD)
    run(script, keys=["n"], args=[1])
    queue.client_kill_filter(_type="normal", skipme=True)
    assert run(script, keys=["n"], args=[1]) == 2


def test_a_script_that_fails_is_the_queue_unavailable_and_the_next_call_is_sound(queue):
    script = valkey.Script(queue, "return redis.call(ARGV[1], KEYS[1])")
    queue.set("n", "text")
    with pytest.raises(QueueUnavailable):
        run(script, keys=["n"], args=["INCR"])
    assert run(script, keys=["n"], args=["GET"]) == b"text"


def test_a_slow_answer_is_the_queue_unavailable_and_is_not_taken_for_the_next_ones(redis_url):
    client = valkey.connect(redis_url, timeout_seconds=0.05)
    script = valkey.Script(client, "return ARGV[1]")
    assert run(script, keys=[], args=["first"]) == b"first"
    other = valkey.connect(redis_url)
    other.execute_command("CLIENT", "PAUSE", 200, "ALL")
    with pytest.raises(QueueUnavailable):
        run(script, keys=[], args=["late"])
    other.execute_command("CLIENT", "UNPAUSE")
    assert run(script, keys=[], args=["next"]) == b"next"
    client.close()
    other.close()


def test_no_valkey_is_the_queue_unavailable(tmp_path):
    script = valkey.Script(valkey.connect(f"unix://{tmp_path}/none.sock"), ADD)
    with pytest.raises(QueueUnavailable):
        run(script, keys=["n"], args=[1])


def test_many_calls_go_in_one_round_trip_and_each_has_its_own_answer(queue):
    script = valkey.Script(queue, "if ARGV[1] == 'bad' then return redis.error_reply('no') end return ARGV[1] .. '!'")
    for _ in range(2):  # unseen by Valkey, and seen
        answers = script.run_all([valkey.Call([], [word]) for word in ("a", "bad", b"x" * 70_000, "d")])
        assert [answers[0], answers[2], answers[3]] == [b"a!", b"x" * 70_000 + b"!", b"d!"]
        assert isinstance(answers[1], QueueUnavailable)
    assert script.run_all([]) == []


def test_many_calls_without_valkey_are_each_the_queue_unavailable(tmp_path):
    script = valkey.Script(valkey.connect(f"unix://{tmp_path}/nobody.sock"), "return 1")
    assert [type(answer) for answer in script.run_all([valkey.Call([], [])] * 3)] == [QueueUnavailable] * 3


def test_a_script_that_is_garbage_closes_its_connections_before_their_sockets_are_told(redis_url):
    gc.collect()
    gc.freeze()  # all that is no business of this test
    try:
        script = valkey.Script(valkey.connect(redis_url), "return 1")
        run(script, keys=[], args=[])
        # The collector tells the oldest first, and this connection is younger than its socket.
        connection = script._idle.pop()
        younger = type(connection)(**script._pool.connection_kwargs)
        younger._sock, connection._sock = connection._sock, None
        script._idle.append(younger)
        circle: list[object] = [script, younger]
        circle.append(circle)
        del script, connection, younger, circle
        gc.collect()  # a socket that nobody closed is an error here
    finally:
        gc.unfreeze()
