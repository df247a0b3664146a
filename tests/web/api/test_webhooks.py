"""The webhooks of the public contract: its paths, its names, its shapes."""

import base64
from datetime import timedelta

from sqlalchemy import insert, select, text, update

from shared.clock import parse_instant
from shared.crypto import load_ring
from shared.db.engine import transaction
from shared.db.tables import attempts, deliveries, lanes, subscriptions
from shared.directory import live_secrets
from shared.ids import new_id
from tests.web.api.conftest import URL, World
from web.context import EXTENSION

BODY = {
    "name": "My CRM Webhook",
    "url": URL,
    "events": ["user.created", "user.updated", "booking.created"],
    "description": "Sync users and bookings to our CRM",
    "retryAttempts": 3,
    "retryDelay": 60,
    "timeoutMs": 10000,
}


def states(world: World) -> list[str]:
    with world.engine.connect() as connection:
        return list(connection.execute(select(deliveries.c.state).order_by(deliveries.c.id)).scalars())


def test_the_public_contracts_creation_call_works_to_the_letter(world: World) -> None:
    response = world.caller(account=str(world.acme)).post("/api/admin/webhooks", BODY)
    assert response.status_code == 201, response.json
    assert response.json["success"] is True
    webhook = response.json["webhook"]
    for name in ("name", "url", "events", "description", "retryAttempts", "retryDelay", "timeoutMs"):
        assert webhook[name] == BODY[name]
    assert '"retryDelay":60,' in response.text  # a whole number of seconds, as it came
    assert webhook["active"] is True
    assert parse_instant(webhook["createdAt"]) is not None
    assert webhook["createdAt"].endswith("Z")
    assert len(base64.b64decode(webhook["secret"].removeprefix("whsec_"))) == 32


def test_defaults_are_those_of_the_settings_and_the_contract(world: World) -> None:
    webhook = world.webhook()
    assert (webhook["retryAttempts"], webhook["retryDelay"], webhook["timeoutMs"]) == (3, 60, 10000)
    assert (webhook["disableAfter"], webhook["disableAfterSeconds"]) == (20, 86400)
    assert (webhook["maxInFlight"], webhook["ordering"], webhook["destination"]) == (10, "none", "webhook")
    assert (webhook["successCount"], webhook["failedCount"]) == (0, 0)
    assert webhook["lastDeliveryStatus"] is None


def test_the_secret_is_shown_once_and_stored_sealed(world: World) -> None:
    made = world.webhook()
    path = f"/api/admin/webhooks/{made['id']}"
    caller = world.caller()
    later = [
        caller.get(path),
        caller.get("/api/admin/webhooks"),
        caller.patch(path, {"name": "Renamed"}),
        caller.post(f"{path}/disable"),
        caller.post(f"{path}/enable"),
        caller.post(f"{path}/rotate-secret"),
        caller.get("/api/admin/audit"),
        caller.delete(path),
    ]
    for response in later:
        assert response.status_code == 200
        assert made["secret"] not in response.text
        assert "sealed" not in response.text
    with world.engine.connect() as connection:
        assert (
            made["secret"] not in connection.execute(text("SELECT CAST(s.* AS text) FROM subscriptions s")).scalar_one()
        )


def test_a_webhook_shows_its_last_50_deliveries_and_what_came_of_them(world: World) -> None:
    webhook = world.webhook()
    for _ in range(51):
        event = world.event()
    with transaction(world.engine) as connection:
        row = connection.execute(select(deliveries).where(deliveries.c.event_id == event)).one()
        for number, status, excerpt in ((1, 500, "first"), (2, 503, "<html>busy")):
            connection.execute(
                insert(attempts).values(
                    id=new_id(),
                    account_id=row.account_id,
                    delivery_id=row.id,
                    subscription_id=row.subscription_id,
                    event_id=row.event_id,
                    number=number,
                    verdict="again",
                    status=status,
                    error_code=f"http_{status}",
                    error="The receiver is busy",
                    response_excerpt=excerpt,
                    duration_ms=120 + number,
                    started_at=world.clock(),
                )
            )
        connection.execute(
            update(deliveries)
            .where(deliveries.c.id == row.id)
            .values(state="dead", attempts=2, last_status=503, last_error="http_503", finished_at=world.clock())
        )
        connection.execute(
            update(lanes).values(failed_count=2, last_delivery_status="failed", last_delivery_at=world.clock())
        )
    shown = world.caller().get(f"/api/admin/webhooks/{webhook['id']}").json["webhook"]
    assert (shown["failedCount"], shown["lastDeliveryStatus"]) == (2, "failed")
    assert shown["lastDeliveryAt"].endswith("Z")
    assert len(shown["deliveries"]) == 50
    newest = shown["deliveries"][0]
    assert newest["status"] == "failed"
    assert newest["statusCode"] == 503
    assert newest["responseBody"] == "<html>busy"
    assert newest["error"] == "The receiver is busy"
    assert newest["durationMs"] == 122
    assert newest["nextAttemptAt"] is None
    assert {delivery["status"] for delivery in shown["deliveries"][1:]} == {"pending"}
    detail = world.caller().get(f"/api/admin/deliveries/{newest['id']}").json["delivery"]
    assert [attempt["responseBody"] for attempt in detail["attemptsMade"]] == ["first", "<html>busy"]
    assert '"event":"user.created"' in detail["body"]


def test_patch_changes_what_is_sent_and_nothing_else(world: World) -> None:
    before = world.webhook(description="as it was")
    world.clock.forward(seconds=1)
    response = world.caller().patch(
        f"/api/admin/webhooks/{before['id']}",
        {"active": True, "events": ["user.created", "qr.scanned"], "retryDelay": 0.5},
    )
    after = response.json["webhook"]
    assert response.status_code == 200
    changed = {name for name in after if before.get(name) != after[name]}
    assert changed == {"events", "retryDelay", "updatedAt"}
    again = world.caller().patch(f"/api/admin/webhooks/{before['id']}", {"retryDelay": 0.5}).json["webhook"]
    assert again == after


def test_patching_active_is_disabling_and_enabling(world: World) -> None:
    path = f"/api/admin/webhooks/{world.webhook()['id']}"
    world.event()
    off = world.caller().patch(path, {"active": False}).json["webhook"]
    assert (off["active"], off["disabledReason"]) == (False, "by_hand")
    assert states(world) == ["held"]
    on = world.caller().patch(path, {"active": True}).json["webhook"]
    assert (on["active"], on["disabledReason"], on["disabledAt"]) == (True, None, None)
    assert states(world) == ["pending"]


def test_k18_enabling_delivers_or_discards_what_was_held(world: World) -> None:
    path = f"/api/admin/webhooks/{world.webhook()['id']}"
    caller = world.caller(role="operator")
    assert caller.post(f"{path}/disable").json["moved"] == 0
    for _ in range(3):
        world.event()
    assert states(world) == ["held"] * 3
    response = caller.post(f"{path}/enable", {"held": "deliver", "newest": 1})
    assert response.json["moved"] == 1
    assert states(world) == ["discarded", "discarded", "pending"]
    assert caller.post(f"{path}/enable", {"held": "discard"}).json["moved"] == 0  # it is enabled: nothing to discard
    assert states(world) == ["discarded", "discarded", "pending"]


def test_disabling_twice_keeps_the_first_reason(world: World) -> None:
    webhook = world.webhook()
    with transaction(world.engine) as connection:
        connection.execute(
            update(subscriptions).values(active=False, disabled_reason="gone", disabled_at=world.clock())
        )
    shown = world.caller().post(f"/api/admin/webhooks/{webhook['id']}/disable").json["webhook"]
    assert shown["disabledReason"] == "gone"


def test_a_deleted_webhook_is_gone_and_its_waiting_deliveries_are_discarded(world: World) -> None:
    path = f"/api/admin/webhooks/{world.webhook()['id']}"
    world.event()
    assert world.caller().delete(path).json == {"success": True}
    assert states(world) == ["discarded"]
    assert world.caller().get(path).status_code == 404
    assert world.caller().delete(path).status_code == 404
    assert world.caller().get("/api/admin/webhooks").json["webhooks"] == []
    assert world.event() is not None
    assert states(world) == ["discarded"]  # nothing more is fanned out to it


def test_a_test_goes_to_the_one_webhook_whatever_it_subscribed_to(world: World) -> None:
    webhook = world.webhook(events=["booking.*"])
    world.webhook(events=["*"])
    response = world.caller(role="operator").post(f"/api/admin/webhooks/{webhook['id']}/test")
    assert response.status_code == 202
    listed = world.caller().get("/api/admin/deliveries").json["deliveries"]
    assert [(item["id"], item["webhookId"], item["eventType"], item["status"]) for item in listed] == [
        (response.json["deliveryId"], webhook["id"], "webhook.test", "pending")
    ]
    world.caller().post(f"/api/admin/webhooks/{webhook['id']}/disable")
    refused = world.caller().post(f"/api/admin/webhooks/{webhook['id']}/test")
    assert (refused.status_code, refused.json["error"]["code"]) == (409, "webhook_disabled")


def test_k16_rotation_gives_a_new_secret_and_ends_the_old_after_the_overlap(world: World) -> None:
    webhook = world.webhook()
    path = f"/api/admin/webhooks/{webhook['id']}"
    answer = world.caller().post(f"{path}/rotate-secret", {"overlapSeconds": 60})
    new = answer.json["webhook"]["secret"]
    assert new.startswith("whsec_")
    assert new != webhook["secret"]
    ring = load_ring(world.app.extensions[EXTENSION].settings)

    def live() -> list[str]:
        with world.engine.connect() as connection:
            row = connection.execute(select(subscriptions)).one()
        entries = live_secrets(row.secrets, now=world.clock())
        return [ring.decrypt(entry["sealed"], place=f"subscription:{row.id}").decode() for entry in entries]

    assert live() == [new, webhook["secret"]]
    world.clock.forward(seconds=61)
    assert live() == [new]
    newest = world.caller().post(f"{path}/rotate-secret", {"overlapSeconds": 0}).json["webhook"]
    assert live() == [newest["secret"]]
    assert len(newest["secrets"]) == 1


def test_a_later_rotation_never_prolongs_an_old_secret(world: World) -> None:
    path = f"/api/admin/webhooks/{world.webhook()['id']}"
    soon = world.clock() + timedelta(seconds=60)
    world.caller().post(f"{path}/rotate-secret", {"overlapSeconds": 60})
    secrets = world.caller().post(f"{path}/rotate-secret", {"overlapSeconds": 600}).json["webhook"]["secrets"]
    ends = [parse_instant(secret["expiresAt"]) for secret in secrets]
    assert ends[0] is None
    assert ends[1] is not None
    assert ends[1] > soon
    assert ends[2] is not None
    assert ends[2] <= soon


def test_what_a_webhook_may_not_be_is_refused_and_changes_nothing(world: World) -> None:
    webhook = world.webhook()
    bad: list[tuple[dict[str, object], str]] = [
        ({"events": ["user.create"]}, "event_type_unknown"),
        ({"url": "http://169.254.169.254/latest/meta-data"}, "address_refused"),
        ({"retryDelay": -1}, "retry_delay_out_of_range"),
        ({"retryDelay": float("inf")}, "json_malformed"),
        ({"name": None}, "validation_failed"),
        ({"surprise": 1}, "validation_failed"),
        ({"retry_delay": 1}, "validation_failed"),  # our own names are not the contract's
    ]
    for fields, code in bad:
        for response in (
            world.caller().post("/api/admin/webhooks", {**BODY, **fields}),
            world.caller().patch(f"/api/admin/webhooks/{webhook['id']}", fields),
        ):
            assert response.json["error"]["code"] == code, response.json
            assert response.status_code in (400, 422)
    del webhook["secret"]
    listed = world.caller().get("/api/admin/webhooks").json["webhooks"]
    assert listed == [webhook]


def test_a_misspelt_event_type_is_answered_with_what_was_meant(world: World) -> None:
    response = world.caller().post("/api/admin/webhooks", {**BODY, "events": ["user.craeted"]})
    assert "user.created" in response.json["error"]["message"]


def test_a_host_that_does_not_resolve_is_a_warning(world: World) -> None:
    response = world.caller().post("/api/admin/webhooks", {**BODY, "url": "https://crm.invalid/hook"})
    assert response.status_code == 201
    assert "crm.invalid" in response.json["warnings"][0]


def test_a_changed_ordering_reaches_the_deliveries_that_wait(world: World) -> None:
    webhook = world.webhook()
    world.event()
    world.caller().patch(f"/api/admin/webhooks/{webhook['id']}", {"ordering": "strict"})
    world.event()
    with world.engine.connect() as connection:
        assert list(connection.execute(select(deliveries.c.strict)).scalars()) == [True, True]


def test_webhooks_are_found_by_whether_they_are_active_and_by_part_of_their_name(world: World) -> None:
    for name in ("Acme CRM", "acme_erp", "100% Shop"):
        world.webhook(name=name)
    off = world.webhook(name="An old crm", active=False)
    assert off["active"] is False
    for query, found in {
        "": ["An old crm", "100% Shop", "acme_erp", "Acme CRM"],
        "active=true": ["100% Shop", "acme_erp", "Acme CRM"],
        "active=false": ["An old crm"],
        "name=crm": ["An old crm", "Acme CRM"],
        "name=crm&active=true": ["Acme CRM"],
        "name=0%25": ["100% Shop"],  # a wildcard of SQL is no wildcard here
        "name=%25": ["100% Shop"],
        "name=_": ["acme_erp"],
        "name=nobody": [],
        "name=crm&limit=1": ["An old crm"],
    }.items():
        answer = world.caller().get(f"/api/admin/webhooks?{query}")
        assert [webhook["name"] for webhook in answer.json["webhooks"]] == found, query
    assert world.caller().get("/api/admin/webhooks?active=maybe").status_code == 422
