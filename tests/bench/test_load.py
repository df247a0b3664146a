"""The load generator and the receiver, against each other: what is sent arrives, counted once."""

from dataclasses import replace
from pathlib import Path

import pytest

from bench.load import Load, parse
from bench.receiver import PROGRESS_BYTES
from bench.rig import receiving, send
from bench.samples import NUMBER, Target, body, request
from bench.stack import free_port
from shared.clock import utc_now
from shared.providers.contract import Evidence, Headers, Request, Source
from shared.providers.shopify import SHOPIFY

TARGET = Target("ok/shop", "bench.myshopify.com", "a-secret")


def received(raw: bytes) -> Request:
    head, _, content = raw.partition(b"\r\n\r\n")
    pairs = [line.decode().split(": ", 1) for line in head.split(b"\r\n")[1:]]
    return Request("POST", "/", Headers((name, value) for name, value in pairs), content)


@pytest.mark.parametrize("number", [0, 3, 12])
def test_a_built_request_is_one_that_the_provider_verifies(number: int) -> None:
    source = Source("s", "shopify", (TARGET.secret.encode(),))
    asked = received(request(number, TARGET, customers=10))
    assert SHOPIFY.verify(asked, source, Evidence(utc_now())) is None
    assert asked.headers.get("x-shopify-topic") == ("customers/create" if number < 10 else "customers/update")


def test_the_number_of_a_request_is_in_its_body() -> None:
    found = NUMBER.search(body(42, customers=10))
    assert found is not None
    assert int(found[1]) == 42


def test_a_load_survives_its_line_of_json() -> None:
    load = Load(port=1, record="", targets=[TARGET], count=5, rate=2.5)
    assert parse(load.dump()) == load


@pytest.mark.parametrize("rate", [0.0, 2000.0], ids=["closed", "open"])
def test_everything_sent_is_answered_and_arrives_once(tmp_path: Path, rate: float) -> None:
    with receiving(tmp_path, free_port()) as receiver:
        load = Load(port=receiver.port, record="", targets=[TARGET], count=300, connections=8, rate=rate)
        sent = send(tmp_path, load)
    assert {one.number for one in sent if one.status == 200} == set(range(300)) == set(receiver.arrivals)
    assert all(one.due <= one.sent <= one.answered for one in sent)
    assert (len(sent), receiver.unique, receiver.duplicates) == (300, 300, 0)


def test_a_repeat_is_counted_apart(tmp_path: Path) -> None:
    with receiving(tmp_path, free_port()) as receiver:
        load = Load(port=receiver.port, record="", targets=[TARGET], count=20)
        send(tmp_path, load)
        send(tmp_path, load)
    assert (receiver.unique, receiver.duplicates) == (20, 20)


def test_a_bounded_loop_has_no_more_under_way_than_it_may(tmp_path: Path) -> None:
    elsewhere = tmp_path / "never.progress"
    elsewhere.write_bytes(bytes(PROGRESS_BYTES))
    with receiving(tmp_path, free_port()) as receiver:
        load = Load(
            port=receiver.port,
            record="",
            targets=[TARGET],
            count=50,
            seconds=0.3,
            outstanding=7,
            progress=str(elsewhere),  # nothing ever arrives there
        )
        assert len(send(tmp_path, load)) == 7
        assert len(send(tmp_path, replace(load, first=1000, progress=str(receiver.progress)))) == 50


def test_the_dead_do_not_answer_200(tmp_path: Path) -> None:
    with receiving(tmp_path, free_port()) as receiver:
        load = Load(port=receiver.port, record="", targets=[replace(TARGET, path="dead/500/shop")], count=5)
        assert {one.status for one in send(tmp_path, load)} == {500}
    assert (receiver.unique, receiver.turned_away) == (0, 5)
