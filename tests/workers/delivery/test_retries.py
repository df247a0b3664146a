"""What failing receivers get, and when they get it again."""

import json
from datetime import timedelta
from email.utils import format_datetime

import jsonschema
import pytest
from sqlalchemy import text

from shared.event_schemas import event_schema
from tests.doubles.crm import Answer, Crm
from tests.workers.delivery.conftest import SECRET, Clock, Desk


def test_k23_a_failure_is_tried_again_on_schedule_and_given_up_after_the_last_try(desk: Desk, crm: Crm, clock: Clock):
    subscription = desk.subscribe(crm.url(), retry_attempts=3, retry_delay_seconds=60.0)
    (delivery,) = desk.owe(subscription)
    crm.answer(500)

    for tries, expected in ((1, 60), (2, 120), (3, 240)):
        desk.dispatch()
        row = desk.delivery(delivery)
        assert (row.state, row.tries, row.last_status, row.last_error) == ("pending", tries, 500, "http_500")
        wait = (row.next_attempt_at - clock()).total_seconds()
        assert 0.8 * expected <= wait <= 1.2 * expected
        clock.forward(wait - 1)
        assert desk.dispatch().get("claimed", 0) == 0, "it was sent before it was due"
        clock.forward(1)

    desk.dispatch()

    row = desk.delivery(delivery)
    assert (row.state, row.tries) == ("dead", 4)
    assert row.finished_at == clock()
    assert [(each.number, each.verdict, each.status) for each in desk.attempts(delivery)] == [
        (number, "again", 500) for number in (1, 2, 3, 4)
    ]


def test_k15_each_retry_has_a_fresh_timestamp_and_the_same_id_and_body(desk: Desk, crm: Crm, clock: Clock):
    subscription = desk.subscribe(crm.url(), retry_delay_seconds=1000.0)
    (delivery,) = desk.owe(subscription)
    crm.answer(500, 200)

    desk.dispatch()
    clock.forward(1200)
    desk.dispatch()

    first, second = crm.received
    assert desk.delivery(delivery).state == "delivered"
    assert (first.problem, second.problem) == (None, None)
    assert first.webhook_id == second.webhook_id == str(desk.delivery(delivery).event_id)
    assert first.body == second.body
    assert int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) == 1200
    assert [each.headers["x-webhook-attempt"] for each in crm.received] == ["1", "2"]


@pytest.mark.parametrize("form", ["seconds", "date"])
@pytest.mark.parametrize("status", [429, 503])
def test_k10_retry_after_silences_the_whole_lane(desk: Desk, crm: Crm, clock: Clock, form: str, status: int):
    subscription = desk.subscribe(crm.url(), retry_delay_seconds=1.0, max_in_flight=1)
    desk.owe(subscription, count=5)
    value = "30" if form == "seconds" else format_datetime(clock() + timedelta(seconds=30), usegmt=True)
    crm.answer(Answer(status, {"Retry-After": value}), 200)

    desk.dispatch()
    assert len(crm.received) == 1

    clock.forward(29)
    desk.dispatch()
    assert len(crm.received) == 1, "the lane was not silent"

    clock.forward(1)
    desk.dispatch()
    assert desk.states(subscription) == {"delivered": 5}


def test_retry_after_is_obeyed_even_past_the_backoff_and_only_up_to_a_day(desk: Desk, crm: Crm, clock: Clock):
    subscription = desk.subscribe(crm.url(), retry_delay_seconds=1.0)
    (delivery,) = desk.owe(subscription)
    crm.answer(Answer(429, {"Retry-After": "9999999"}))

    desk.dispatch()

    assert desk.delivery(delivery).next_attempt_at == clock() + timedelta(days=1)


def test_k11_a_410_disables_the_subscription_and_tells_the_others(desk: Desk, crm: Crm):
    gone = desk.subscribe(crm.url("/gone/catch/capability?key=hush"), events=["user.*"], name="Gone CRM")
    other = desk.subscribe(crm.url("/other"), events=["*"])
    desk.owe(gone, count=3)
    crm.answer(410, path="/gone/catch/capability")

    desk.dispatch()

    row = desk.subscription(gone)
    assert (row.active, row.disabled_reason) == (False, "gone")
    assert set(desk.states(gone)) == {"held"}
    (told,) = crm.at("/other")
    assert told.headers["x-webhook-event"] == "subscription.disabled"
    disabled = json.loads(told.body)["data"]["subscription"]
    assert (disabled["id"], disabled["host"], disabled["reason"]) == (str(gone), "127.0.0.1", "gone")
    assert b"capability" not in told.body, "whoever knows the URL may post there"
    assert b"hush" not in told.body
    jsonschema.validate(json.loads(told.body), event_schema("subscription.disabled"))
    assert desk.states(other) == {"delivered": 1}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_k12_k14_a_redirect_is_a_failure_and_is_not_followed(desk: Desk, crm: Crm, status: int):
    subscription = desk.subscribe(crm.url())
    (delivery,) = desk.owe(subscription)
    crm.answer(Answer(status, {"Location": crm.url("/elsewhere")}))

    desk.dispatch()

    assert desk.delivery(delivery).last_error == f"http_{status}"
    assert desk.delivery(delivery).state == "pending"
    assert crm.at("/elsewhere") == []


@pytest.mark.parametrize(
    ("answer", "excerpt"),
    [
        (Answer(204, body=b""), None),
        (Answer(299), '{"received": true}'),
        (Answer(200, body=b""), None),
        (Answer(200, body=b"x" * 1_000_000), "x" * 2048),
        (Answer(200, body=b"\x00\xff"), "��"),
        (Answer(200, headers={"Content-Encoding": "gzip"}, body=b"not gzip"), "not gzip"),
    ],
    ids=["204", "299", "empty", "1 MB", "not text", "says gzip"],
)
def test_k14_every_2xx_is_a_success_whatever_its_body(desk: Desk, crm: Crm, answer: Answer, excerpt: str | None):
    subscription = desk.subscribe(crm.url())
    (delivery,) = desk.owe(subscription)
    crm.answer(answer)

    desk.dispatch()

    assert desk.delivery(delivery).state == "delivered"
    (attempt,) = desk.attempts(delivery)
    assert (attempt.status, attempt.response_excerpt) == (answer.status, excerpt)


def test_k14_a_reply_that_drips_is_cut_at_the_timeout_and_its_status_counts(desk: Desk, crm: Crm):
    subscription = desk.subscribe(crm.url(), timeout_ms=300)
    (delivery,) = desk.owe(subscription)
    crm.answer(Answer(200, drip=True))

    desk.dispatch()

    (attempt,) = desk.attempts(delivery)
    assert (attempt.verdict, attempt.status) == ("delivered", 200)
    assert 250 <= attempt.duration_ms < 2000
    assert attempt.response_excerpt.startswith(".")


@pytest.mark.parametrize(
    ("answer", "code"), [(Answer(hang=True), "timeout"), (Answer(reset=True), "connection_failed")]
)
def test_no_reply_is_a_failure_with_its_kind(desk: Desk, crm: Crm, answer: Answer, code: str):
    subscription = desk.subscribe(crm.url(), timeout_ms=300)
    (delivery,) = desk.owe(subscription)
    crm.answer(answer)

    desk.dispatch()

    row = desk.delivery(delivery)
    assert (row.state, row.last_status, row.last_error) == ("pending", None, code)


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://169.254.169.254/latest/meta-data", "address_refused"),
        ("http://10.0.0.7/hook", "address_refused"),
        ("http://[::ffff:10.0.0.7]/hook", "address_refused"),
        ("http://2130706433/hook", "url_malformed"),
        ("http://nowhere.invalid/hook", "host_unresolvable"),
        ("ftp://127.0.0.1/hook", "scheme_refused"),
        ("http://127.0.0.1:6379/hook", "port_refused"),
    ],
)
def test_an_address_that_is_refused_is_a_failed_attempt_that_says_so(desk: Desk, url: str, code: str):
    subscription = desk.subscribe(url)
    (delivery,) = desk.owe(subscription)

    desk.dispatch()

    assert desk.delivery(delivery).state == "pending"
    (attempt,) = desk.attempts(delivery)
    assert (attempt.error_code, attempt.status, attempt.verdict) == (code, None, "again")
    assert attempt.error


def test_k16_both_signatures_are_sent_while_a_secret_is_rotated(desk: Desk, crm: Crm, clock: Clock):
    old = "whsec_" + "b2xk" * 11
    subscription = desk.subscribe(
        crm.url(), secrets=[(SECRET, None), (old, clock() + timedelta(hours=1))], retry_delay_seconds=4000.0
    )
    crm.secrets = [old]
    desk.owe(subscription)

    desk.dispatch()

    assert crm.received[0].problem is None, "a receiver with the old secret must verify during the overlap"
    assert len(crm.received[0].headers["webhook-signature"].split(" ")) == 2

    clock.forward(3601)
    desk.owe(subscription)
    desk.dispatch()

    assert crm.received[1].problem == "signature"
    crm.secrets = [SECRET]
    assert crm.problem_with(crm.received[1].headers, crm.received[1].body) is None
    assert len(crm.received[1].headers["webhook-signature"].split(" ")) == 1


def test_k24_the_bytes_signed_are_the_bytes_sent_and_stored(desk: Desk, crm: Crm):
    body = '{"b":1.10,  "a":"Zoë \\u0041 😀 漢",\n\t"n":12345678901234567890.123456789,"z":-0.0,"e":1E400}'
    subscription = desk.subscribe(crm.url())
    desk.owe(subscription, body=body)

    desk.dispatch()

    assert crm.received[0].problem is None
    assert crm.received[0].body == body.encode()


def test_an_event_past_its_retention_is_dead_and_nothing_is_sent(desk: Desk, crm: Crm):
    subscription = desk.subscribe(crm.url())
    (delivery,) = desk.owe(subscription)
    with desk.engine.begin() as connection:
        connection.execute(text("DELETE FROM events"))

    desk.dispatch()

    row = desk.delivery(delivery)
    assert (row.state, row.last_error, row.tries) == ("dead", "event_expired", 0)
    assert crm.received == []
    assert desk.attempts(delivery) == []


def test_a_secret_that_cannot_be_opened_fails_its_own_deliveries_only(desk: Desk, crm: Crm):
    broken, fine = desk.subscribe(crm.url("/broken")), desk.subscribe(crm.url("/fine"))
    with desk.engine.begin() as connection:
        connection.execute(
            text('UPDATE subscriptions SET secrets = \'[{"sealed": "v1.x.y"}]\' WHERE id = :id'), {"id": str(broken)}
        )
    first, second = desk.owe(broken, fine)

    desk.dispatch()

    assert desk.delivery(first).last_error == "secret_missing"
    assert desk.delivery(second).state == "delivered"
    assert crm.at("/broken") == []
