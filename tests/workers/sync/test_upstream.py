"""Calls upstream: paced across workers, tried again by the kind of failure, left alone together, and logged."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import redis
import structlog

from shared import queues, valkey
from shared.circuits import CIRCUIT_FAILURES
from shared.clock import utc_now
from shared.destinations.contract import Quota
from shared.settings import Settings
from tests.doubles.served import Fault, Reply, Served
from workers.sync.upstream import Pace, Upstream, UpstreamFailed

SECRET = "shpat_never_in_a_log"


class Api(Served):
    """Answers whatever it is asked, and remembers when, by the test's clock."""

    def __init__(self, clock: "Clock") -> None:
        super().__init__()
        self._clock = clock
        self.times: list[float] = []

    def answer(self, *_: Any) -> Reply:
        self.times.append(self._clock.now.timestamp())
        return Reply(200, {})


class Clock:
    """Moves only when somebody sleeps by it."""

    def __init__(self) -> None:
        self.now = utc_now()
        self.slept: list[float] = []

    def __call__(self) -> datetime:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def api(clock: Clock) -> Iterator[Api]:
    with Api(clock) as double:
        yield double


@pytest.fixture
def open_settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"allow_http_destinations": True, "allowed_destination_cidrs": "127.0.0.0/8"})


@pytest.fixture
def workers(open_settings: Settings, redis_url: str, clock: Clock) -> Iterator[list[Upstream]]:
    """Three processes' ways out: each has connections of its own, and nothing in common but Valkey."""
    clients = [valkey.connect(redis_url) for _ in range(3)]
    yield [Upstream(open_settings, client, sleep=clock.sleep, clock=clock) for client in clients]
    for client in clients:
        client.close()


def ask(upstream: Upstream, api: Api, **more: Any) -> None:
    upstream.call("test", "GET", f"{api.url()}/?token={SECRET}", headers={"Authorization": SECRET}, **more)


def test_however_many_workers_there_are_an_asker_keeps_to_its_quota(workers: list[Upstream], api: Api):
    pace = Pace("manychat", "4711", Quota(10, 1.1))
    for turn in range(45):
        ask(workers[turn % len(workers)], api, pace=pace)
    times = api.times
    assert len(times) == 45
    assert max(sum(begin <= at < begin + 1.0 for at in times) for begin in times) == 10
    assert times[-1] - times[0] < 5  # and it is used up, not merely kept to


def test_another_page_has_a_quota_of_its_own(workers: list[Upstream], api: Api, clock: Clock):
    for page in ("4711", "4712"):
        for _ in range(10):
            ask(workers[0], api, pace=Pace("manychat", page, Quota(10, 1.1)))
    assert clock.slept == []


def test_a_try_that_fails_has_used_up_its_place(workers: list[Upstream], api: Api, clock: Clock):
    pace = Pace("manychat", "4711", Quota(2, 1000.0))
    api.faults.append(Fault(500))
    ask(workers[0], api, pace=pace)
    with pytest.raises(UpstreamFailed) as caught:
        ask(workers[1], api, pace=pace)
    assert (caught.value.code, caught.value.passes) == ("too_many_requests", False)
    assert caught.value.wait_seconds > 900
    assert len(api.asked) == 2


def test_without_valkey_nothing_is_paced_and_nothing_stops(
    workers: list[Upstream], api: Api, monkeypatch: pytest.MonkeyPatch
):
    def refuse(*_: object, **__: object) -> None:
        raise redis.ConnectionError

    monkeypatch.setattr("redis.commands.core.Script.__call__", refuse)
    for _ in range(3):
        ask(workers[0], api, pace=Pace("manychat", "4711", Quota(1, 60.0)))
    assert len(api.asked) == 3


@pytest.mark.parametrize(
    ("fault", "tries", "comes_to"),
    [
        (Fault(503), 3, ("server_error", False)),
        (Fault(503, {"Retry-After": "1"}), 3, ("server_error", False)),
        (Fault(503, {"Retry-After": "60"}), 1, ("server_error", False)),
        (Fault(silent=True), 3, ("unreachable", False)),
        (Fault(429, {"Retry-After": "1"}), 3, ("too_many_requests", False)),
        (Fault(429, {"Retry-After": "60"}), 1, ("too_many_requests", False)),
        (Fault(401), 1, ("denied", True)),
        (Fault(402), 1, ("account_shut", False)),
        (Fault(404), 1, ("not_accepted", True)),
        (Fault(302, {"Location": "http://169.254.169.254/"}), 1, ("not_accepted", True)),
    ],
)
def test_each_kind_of_failure_is_tried_as_often_as_may_help(
    workers: list[Upstream], api: Api, fault: Fault, tries: int, comes_to: tuple[str, bool]
):
    api.faults += [fault] * 10
    with pytest.raises(UpstreamFailed) as caught:
        ask(workers[0], api)
    assert ((caught.value.code, caught.value.is_final), len(api.asked)) == (comes_to, tries)


def test_what_may_not_be_repeated_is_tried_once(workers: list[Upstream], api: Api):
    api.faults += [Fault(503)] * 3
    with pytest.raises(UpstreamFailed):
        ask(workers[0], api, repeatable=False)
    assert len(api.asked) == 1


def test_a_host_that_failed_again_and_again_is_left_alone_by_all_and_asked_again_later(
    workers: list[Upstream], api: Api
):
    api.faults += [Fault(503)] * CIRCUIT_FAILURES
    for _ in range(2):
        with pytest.raises(UpstreamFailed):
            ask(workers[0], api)
    assert len(api.asked) == CIRCUIT_FAILURES
    with pytest.raises(UpstreamFailed) as caught:
        ask(workers[1], api)
    assert (caught.value.code, len(api.asked)) == ("circuit_open", CIRCUIT_FAILURES)
    valkey_client = workers[2]._client
    key = queues.circuit(f"127.0.0.1:{api.port}")
    assert 0 < valkey_client.ttl(key) <= 60
    valkey_client.delete(key)  # its time is over
    ask(workers[2], api)


@pytest.mark.parametrize("token", [f"{SECRET}\n", f"{SECRET}\u20ac"])
def test_a_token_that_cannot_be_sent_is_its_owners_trouble_and_keeps_nobody_from_the_host(
    workers: list[Upstream], api: Api, token: str
):
    for _ in range(CIRCUIT_FAILURES):
        with pytest.raises(UpstreamFailed) as caught:
            workers[0].call("test", "GET", api.url(), headers={"Authorization": f"Bearer {token}"})
        failure = caught.value
        assert (failure.code, failure.is_final, failure.is_a_persons) == ("credentials_malformed", True, True)
        assert SECRET not in f"{failure} {failure.__cause__} {failure.message}"
    assert api.asked == []
    ask(workers[1], api)


def test_every_try_is_logged_with_status_and_duration_and_never_the_token(workers: list[Upstream], api: Api):
    api.faults += [Fault(503), Fault(silent=True)]
    with structlog.testing.capture_logs() as logged:
        ask(workers[0], api)
    called = [line for line in logged if line["event"] == "upstream.called"]
    assert [(line["status"], line["error_code"]) for line in called] == [
        (503, None),
        (None, "unreachable"),
        (200, None),
    ]
    assert all(line["duration_ms"] >= 0 and line["host"] == "127.0.0.1" for line in called)
    assert SECRET not in repr(logged)
