"""What is particular to Selloship."""

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from shared.providers.contract import Change
from tests.shared.providers.acting import SECRET, Actor, actor

ACT, BY_HMAC = actor("selloship"), actor("selloship-hmac")


def change(act: Actor = ACT, event: str | None = None, **details: Any) -> Change:
    body = {"waybillDetails": {"waybill": "W1"} | details} | ({"event": event} if event else {})
    [found] = act.understand(act.request(act.sample(body=orjson.dumps(body))))[1].changes
    return found


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("READY_TO_SHIP", "ready"),
        ("MANIFESTED", "ready"),
        ("PICKUP_SCHEDULED", "ready"),
        ("PICKED_UP", "shipped"),
        ("IN_TRANSIT", "in_transit"),
        ("In Transit", "in_transit"),
        ("OUT_FOR_DELIVERY", "out_for_delivery"),
        ("DELIVERED", "delivered"),
        ("NDR", "on_hold"),
        ("RTO", "returned"),
        ("RETURN_RECEIVED", "returned"),
        ("CANCELLED", "cancelled"),
        ("HELD_AT_CUSTOMS", None),
        (None, None),
    ],
)
def test_their_states_become_ours_and_their_word_is_kept(state, status):
    fields = change(currentStatus=state).fields
    assert fields.get("status") == status
    assert fields.get("provider_status") == state


@pytest.mark.parametrize(
    ("event", "status"),
    [
        ("SHIPMENT_CREATED", "pending"),
        ("SHIPMENT_UPDATED", None),
        ("SHIPMENT_DELIVERED", "delivered"),
        ("SHIPMENT_RTO", "returned"),
    ],
)
def test_the_topic_says_the_state_where_none_is_told_or_none_that_we_know(event, status):
    assert change(event=event).fields.get("status") == status
    assert change(event=event, currentStatus="HELD_AT_CUSTOMS").fields.get("status") == status


def test_a_time_without_a_zone_is_indian():
    delivered = change(currentStatus="DELIVERED", statusDate="2026-02-11 14:05:33").fields["delivered_at"]
    assert delivered == datetime(2026, 2, 11, 8, 35, 33, tzinfo=UTC)
    assert change(currentStatus="DELIVERED", statusDate="2026-02-11T08:35:33Z").fields["delivered_at"] == delivered


def test_of_two_states_at_the_same_second_the_later_one_counts():
    out = change(currentStatus="OUT_FOR_DELIVERY", statusDate="2026-02-11 14:05:33").version
    there = change(currentStatus="DELIVERED", statusDate="2026-02-11 14:05:33").version
    assert out is not None
    assert there is not None
    assert out < there < out + timedelta(milliseconds=1)


def test_a_token_in_a_header_of_its_own_name_is_never_kept():
    request = ACT.request(ACT.sample())
    assert request.headers.get("X-Webhook-Token") == SECRET.decode()
    assert "X-Webhook-Token" in ACT.provider.secret_headers(ACT.source)
    assert BY_HMAC.provider.secret_headers(BY_HMAC.source) == ()


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"verification": "path"}, "verification"),
        ({"verification": "none_with_ip_allowlist"}, "addresses"),
        ({"addresses": ["203.0.113.9/24"]}, "addresses"),
        ({"verification": "hmac", "scheme": {"template": "no body"}}, "scheme"),
        ({"token": "x"}, "token"),
    ],
)
def test_wrong_settings_are_named(settings, name):
    [problem] = ACT.provider.check_settings(settings)
    assert problem.startswith(name)
