from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from shared.destinations.contract import Answer, Parcel, Verdict
from shared.destinations.replies import retry_after
from shared.destinations.webhook import build, judge

NOW = datetime(2026, 11, 6, 10, 30, tzinfo=UTC)


def test_the_headers_are_the_documented_ones():
    parcel = Parcel("e-1", "user.created", b"{}", "d-1", 3, "https://crm.example/hook", ("whsec_YWJj",))
    outgoing = build(parcel, NOW)
    assert [name for name, _ in outgoing.headers] == [
        "Content-Type",
        "User-Agent",
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
        "X-Webhook-Signature",
        "X-Webhook-Event",
        "X-Webhook-Delivery",
        "X-Webhook-Attempt",
    ]
    found = dict(outgoing.headers)
    assert found["webhook-timestamp"] == str(int(NOW.timestamp()))
    assert found["X-Webhook-Attempt"] == "3"
    assert found["User-Agent"].startswith("Crossdock/")
    assert (outgoing.method, outgoing.body) == ("POST", b"{}")


@pytest.mark.parametrize(
    ("status", "verdict", "code"),
    [
        *((status, Verdict.DELIVERED, None) for status in (200, 201, 202, 204, 299)),
        *((status, Verdict.AGAIN, f"http_{status}") for status in (100, 199, 301, 302, 304, 307, 308)),
        *((status, Verdict.AGAIN, f"http_{status}") for status in (400, 401, 403, 404, 409, 422, 429, 500, 503, 599)),
        (410, Verdict.GONE, "http_410"),
    ],
)
def test_2xx_is_success_and_nothing_else_is(status: int, verdict: Verdict, code: str | None):
    judgement = judge(Answer(status), NOW)
    assert (judgement.verdict, judgement.code) == (verdict, code)


def test_no_reply_is_tried_again_under_its_own_code():
    assert judge(Answer(None, error_code="timeout"), NOW).code == "timeout"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("30", 30.0),
        (" 30 ", 30.0),
        ("0", None),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("99999999999999999999", None),
        ("172800", 86_400.0),
        (format_datetime(NOW + timedelta(seconds=45), usegmt=True), 45.0),
        (format_datetime(NOW - timedelta(seconds=45), usegmt=True), None),
        (format_datetime(NOW + timedelta(days=9), usegmt=True), 86_400.0),
    ],
)
def test_k10_retry_after_is_read_in_both_forms_and_capped(value: str, seconds: float | None):
    assert retry_after({"retry-after": value}, NOW) == seconds


@pytest.mark.parametrize(("status", "obeyed"), [(429, True), (503, True), (500, False), (302, False)])
def test_retry_after_counts_with_429_and_503_only(status: int, obeyed: bool):
    judgement = judge(Answer(status, {"retry-after": "30"}), NOW)
    assert judgement.retry_after_seconds == (30.0 if obeyed else None)
