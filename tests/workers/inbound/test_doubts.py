"""What says that a shop is gone is not believed on its word, where it may be a replay and the shop can be asked."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from tests.workers.inbound.dock import NOW, RECEIVED, SHOP, Dock
from tests.workers.inbound.test_edits import connect

BODY = {"id": 1, "shop_owner": "Zoë", "name": "Lindenhof", "updated_at": "2026-03-01T10:00:00Z"}
REDACT = {"shop_id": 1, "shop_domain": SHOP}


def state(dock: Dock) -> str:
    [row] = dock.rows("integrations")
    return str(row["state"])


def open_(dock: Dock) -> list[str]:
    return [row["subject"] for row in dock.rows("inquiries", "subject")]


def uninstalled(dock: Dock, **changed: Any) -> None:
    """Post the uninstall, as of now, since the shop was connected a moment ago."""
    with dock.engine.begin() as connection:
        connection.execute(text("UPDATE integrations SET created_at = :at"), {"at": NOW})
    dock.post("app/uninstalled", BODY | changed, triggered_at=RECEIVED)
    dock.drain()


def test_the_first_word_of_an_uninstall_is_believed(dock: Dock) -> None:
    connect(dock)
    uninstalled(dock)
    [row] = dock.rows("integrations")
    assert (row["state"], row["credentials"], open_(dock)) == ("uninstalled", None, [])


def test_a_body_that_came_as_another_topic_uninstalls_nothing_until_the_shop_was_asked(dock: Dock) -> None:
    connect(dock)
    dock.post("shop/update", BODY)
    dock.drain()
    uninstalled(dock)
    assert state(dock) == "active"
    assert open_(dock) == [f"installation:{SHOP}", f"shop:{SHOP}"]
    assert dock.rows("alerts") == []


def test_both_in_one_batch_are_told_apart_as_well(dock: Dock) -> None:
    connect(dock)
    dock.post("shop/update", BODY)
    uninstalled(dock)
    assert state(dock) == "active"


def test_a_shop_that_changed_since_is_another_body_and_believed(dock: Dock) -> None:
    connect(dock)
    dock.post("shop/update", BODY)
    uninstalled(dock, updated_at="2026-03-02T10:00:00Z")
    assert state(dock) == "uninstalled"


def test_an_old_uninstall_sent_again_after_the_shop_came_back_is_doubted(dock: Dock) -> None:
    connect(dock)
    uninstalled(dock)
    with dock.engine.begin() as connection:
        connection.execute(
            text("UPDATE integrations SET state = 'active', credentials = 'new', installed_at = created_at")
        )
    uninstalled(dock)
    assert (state(dock), open_(dock)) == ("active", [f"installation:{SHOP}"])


def test_a_shop_that_cannot_be_asked_is_believed(dock: Dock) -> None:
    connect(dock, credentials=None)
    dock.post("shop/update", BODY)
    uninstalled(dock)
    assert (state(dock), open_(dock)) == ("uninstalled", [])


@pytest.mark.parametrize(
    ("how", "found"),
    [
        ({}, "held"),
        ({"credentials": None}, "requested"),
        ({"state": "uninstalled"}, "requested"),
        ({"state": "disabled"}, "requested"),
    ],
)
def test_a_shop_that_is_connected_is_not_erased_on_a_webhooks_word(dock: Dock, how: Any, found: str) -> None:
    connect(dock, **how)
    dock.post("shop/redact", REDACT, triggered_at=RECEIVED)
    dock.drain()
    [erasure] = dock.rows("erasures")
    assert erasure["state"] == found
    assert open_(dock) == ([f"installation:{SHOP}"] if found == "held" else [])
    assert erasure["due_at"] - erasure["requested_at"] == timedelta(days=30)


def test_a_customer_is_forgotten_whether_the_shop_is_connected_or_not(dock: Dock) -> None:
    connect(dock)
    body = REDACT | {"customer": {"id": 7, "email": None, "phone": None}, "orders_to_redact": []}
    dock.post("customers/redact", body)
    dock.drain()
    assert [row["state"] for row in dock.rows("erasures")] == ["requested"]
