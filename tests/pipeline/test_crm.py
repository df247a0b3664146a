"""The double of a CRM refuses what is not signed as promised, and misbehaves as it is told to."""

import base64
import hmac
import threading

import pytest
import requests

from shared.clock import utc_now
from shared.destinations.contract import Outgoing, Parcel
from shared.destinations.registry import DESTINATIONS
from tests.pipeline.crm import HUGE_BYTES, Crm
from tests.pipeline.waiting import until

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()


def _signed(url: str) -> Outgoing:
    parcel = Parcel("event", "user.created", b'{"event": "user.created"}', "delivery", 1, url, (SECRET,))
    return DESTINATIONS["webhook"].build(parcel, utc_now())


def _post(outgoing: Outgoing, **headers: str) -> int:
    return requests.post(
        outgoing.url, data=outgoing.body, headers=dict(outgoing.headers) | headers, timeout=5
    ).status_code


def test_what_is_signed_is_taken_and_kept(crm: Crm) -> None:
    crm.trust("/", SECRET)
    assert _post(_signed(crm.url("/"))) == 200
    assert crm.accepted_ids("/") == ["event"]
    assert crm.refused() == []


@pytest.mark.parametrize("header", ["webhook-signature", "webhook-timestamp", "webhook-id", "X-Webhook-Signature"])
def test_what_is_not_signed_as_promised_is_refused(crm: Crm, header: str) -> None:
    crm.trust("/", SECRET)
    assert _post(_signed(crm.url("/")), **{header: "1"}) == 400
    assert crm.accepted_ids("/") == []
    assert len(crm.refused()) == 1


def test_a_stale_timestamp_is_refused_though_its_signature_is_good(crm: Crm) -> None:
    crm.trust("/", SECRET)
    body, stamp = b"{}", "1700000000"
    digest = hmac.new(bytes(range(32)), b"event." + stamp.encode() + b"." + body, "sha256").digest()
    headers = {
        "webhook-id": "event",
        "webhook-timestamp": stamp,
        "webhook-signature": "v1," + base64.b64encode(digest).decode(),
        "x-webhook-signature": hmac.new(SECRET.encode(), body, "sha256").hexdigest(),
    }
    assert requests.post(crm.url("/"), data=body, headers=headers, timeout=5).status_code == 400


def test_a_script_is_followed_and_its_last_line_stays(crm: Crm) -> None:
    crm.script("/", 500, 204, "huge", crm.redirect(302, "http://elsewhere.invalid/"))
    session = requests.Session()
    replies = [session.post(crm.url("/"), data=b"{}", timeout=5, allow_redirects=False) for _ in range(5)]
    assert [reply.status_code for reply in replies] == [500, 204, 200, 302, 302]
    assert len(replies[2].content) == HUGE_BYTES


def test_what_is_held_is_answered_when_it_is_released(crm: Crm) -> None:
    crm.script("/", "hold")
    statuses: list[int] = []
    thread = threading.Thread(target=lambda: statuses.append(_post(_signed(crm.url("/")))))
    thread.start()
    until(lambda: crm.receipts("/"))
    assert statuses == []
    crm.release("/")
    thread.join()
    assert statuses == [200]


def test_a_drip_never_ends_and_a_hang_up_gives_no_answer(crm: Crm) -> None:
    crm.script("/drip", "drip")
    crm.script("/close", "close")
    with requests.post(crm.url("/drip"), data=b"", timeout=5, stream=True) as reply:
        assert [next(reply.iter_content(1)) for _ in range(3)] == [b"."] * 3
    with pytest.raises(requests.ConnectionError):
        requests.post(crm.url("/close"), data=b"", timeout=5)
