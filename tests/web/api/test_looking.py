"""What an operator looks at: messages, events, deliveries, refusals, alerts, audit, metrics; pages and filters."""

import base64
from datetime import timedelta

import pytest

from shared import alerts, refusals
from shared.clock import to_json
from shared.db import tables
from shared.db.engine import transaction
from shared.ids import new_id
from shared.providers.contract import Headers, Refusal, Request
from tests.web.api.conftest import World
from web.context import EXTENSION


def test_pages_follow_each_other_without_gap_or_repeat(world: World) -> None:
    ids = [str(world.message()) for _ in range(7)]
    seen: list[str] = []
    cursor = ""
    for _ in range(4):
        answer = world.caller().get(f"/api/admin/messages?limit=2{cursor}").json
        seen += [message["id"] for message in answer["messages"]]
        assert answer["pagination"]["limit"] == 2
        if not answer["pagination"]["hasMore"]:
            assert answer["pagination"]["nextCursor"] is None
            break
        cursor = f"&cursor={answer['pagination']['nextCursor']}"
        world.message()  # what comes meanwhile moves no page
    assert seen == ids[::-1]


def test_the_deliveries_of_one_webhook_are_paged_too(world: World) -> None:
    webhook = world.webhook()
    events = [str(world.event()) for _ in range(3)]
    path = f"/api/admin/webhooks/{webhook['id']}/deliveries?limit=2"
    first = world.caller().get(path).json
    second = world.caller().get(f"{path}&cursor={first['pagination']['nextCursor']}").json
    assert [item["eventId"] for item in first["deliveries"] + second["deliveries"]] == events[::-1]
    assert second["pagination"]["hasMore"] is False


def test_messages_are_found_by_what_a_person_knows_of_them(world: World) -> None:
    plain = str(world.message())
    failed = str(world.message(state="failed", topic="customers/update", tenant="b.example", delivery_key="d-2"))
    for query, found in {
        "state=failed": [failed],
        "state=failed&state=processed": [failed, plain],
        "topic=customers/create": [plain],
        "tenant=b.example": [failed],
        "deliveryKey=d-2": [failed],
        "provider=robaws": [],
        f"since={to_json(world.clock() + timedelta(minutes=1))}": [],
        f"until={to_json(world.clock() + timedelta(minutes=1))}": [failed, plain],
        "since=2020-01-01": [failed, plain],
    }.items():
        listed = world.caller().get(f"/api/admin/messages?{query}").json["messages"]
        assert [message["id"] for message in listed] == found, query
    alias = world.caller().get("/api/webhooks?state=failed").json
    assert [message["id"] for message in alias["events"]] == [failed]


def test_bodies_and_headers_are_shown_to_operators_and_not_to_viewers(world: World) -> None:
    text_, binary = world.message(), world.message(body=b"\xff\x00")
    operator, viewer = world.caller(role="operator"), world.caller(role="viewer")
    shown = operator.get(f"/api/admin/messages/{text_}").json["message"]
    assert (shown["body"], shown["bodyEncoding"]) == ('{"id": 1, "first_name": "Zoë"}', "utf-8")
    assert shown["headers"] == [["x-shopify-topic", "customers/create"]]
    raw = operator.get(f"/api/admin/messages/{binary}").json["message"]
    assert (base64.b64decode(raw["body"]), raw["bodyEncoding"]) == (b"\xff\x00", "base64")
    hidden = viewer.get(f"/api/admin/messages/{text_}")
    assert (hidden.json["message"]["body"], hidden.json["message"]["headers"]) == (None, None)
    assert "Zoë" not in hidden.text


def test_an_event_is_found_by_its_message_and_shown_with_its_envelope(world: World) -> None:
    message = world.message()
    event = world.event(message_id=message)
    world.event()
    listed = world.caller().get(f"/api/admin/events?messageId={message}&type=user.created").json["events"]
    assert [item["id"] for item in listed] == [str(event)]
    shown = world.caller(role="operator").get(f"/api/admin/events/{event}").json["event"]
    assert shown["body"]["data"] == {"user": {"id": "1"}}
    assert world.caller(role="viewer").get(f"/api/admin/events/{event}").json["event"]["body"] is None
    of_message = world.caller().get(f"/api/admin/messages/{message}").json["message"]["events"]
    assert of_message == [{"id": str(event), "type": "user.created"}]


def test_deliveries_are_found_by_the_contracts_statuses_and_by_ours(world: World) -> None:
    webhook = world.webhook()
    world.event()
    world.caller().post(f"/api/admin/webhooks/{webhook['id']}/disable")
    for query, count in {
        "status=held": 1,
        "status=pending": 0,
        "status=pending&status=held": 1,
        "status=success": 0,
        "eventType=user.created": 1,
        "eventType=user.updated": 0,
        "eventType=user.*": 1,
        "eventType=use.*": 0,
        "eventType=u%25.*": 0,
        "eventType=*": 1,
        f"subscriptionId={webhook['id']}": 1,
    }.items():
        assert len(world.caller().get(f"/api/admin/deliveries?{query}").json["deliveries"]) == count, query


def test_deliveries_are_found_by_what_they_came_of_and_what_came_of_them(world: World) -> None:
    webhook, source = world.webhook(), new_id()
    message = world.message(source_id=source)
    of_message = [str(world.event(message_id=message, source_id=source)) for _ in range(2)]
    of_source = str(world.event(source_id=source))
    elsewhere = str(world.event(message_id=new_id(), source_id=new_id()))
    results = [(200, None), (503, "http_503"), (404, "http_404"), (None, "timeout")]
    for event, (status, code) in zip([*of_message, of_source, elsewhere], results, strict=True):
        with transaction(world.engine) as connection:
            connection.execute(
                tables.deliveries.update()
                .where(tables.deliveries.c.event_id == event)
                .values(last_status=status, last_error=code)
            )
    first, second = of_message
    for query, found in {
        f"messageId={message}": [second, first],
        f"messageId={new_id()}": [],
        f"sourceId={source}": [of_source, second, first],
        f"messageId={message}&sourceId={source}&statusCode=2xx": [first],
        "statusCode=503": [second],
        "statusCode=4xx&statusCode=503": [of_source, second],
        "statusCode=1xx": [],
        "errorCode=timeout": [elsewhere],
        "errorCode=timeout&errorCode=http_404": [elsewhere, of_source],
        "errorCode=timeout&statusCode=5xx": [],
    }.items():
        for path in ("/api/admin/deliveries", f"/api/admin/webhooks/{webhook['id']}/deliveries"):
            answer = world.caller().get(f"{path}?{query}")
            assert [item["eventId"] for item in answer.json["deliveries"]] == found, (path, query)
        assert world.caller("other").get(f"/api/admin/deliveries?{query}").json["deliveries"] == [], query
    for wrong in ("statusCode=600", "statusCode=5x", "statusCode=5XX", "statusCode=", "statusCode=500;"):
        answer = world.caller().get(f"/api/admin/deliveries?{wrong}")
        assert (answer.status_code, answer.json["error"]["code"]) == (422, "status_code_unknown"), wrong


def test_replaying_a_delivery_makes_it_due_and_says_who_asked_and_why(world: World) -> None:
    webhook = world.webhook()
    world.event()
    world.caller().post(f"/api/admin/webhooks/{webhook['id']}/disable")
    world.caller().post(f"/api/admin/webhooks/{webhook['id']}/enable", {"held": "discard"})
    delivery = world.caller().get("/api/admin/deliveries").json["deliveries"][0]
    assert delivery["status"] == "discarded"
    path = f"/api/admin/deliveries/{delivery['id']}/replay"
    first = world.caller(role="operator").post(path, {"reason": "the CRM lost it"}).json
    assert (first["replayed"], first["delivery"]["status"]) == (True, "pending")
    again = world.caller(role="operator").post(path).json
    assert again["replayed"] is False
    noted = world.caller().get("/api/admin/audit?action=delivery.replayed").json["entries"]
    assert [(entry["reason"], entry["subjectId"]) for entry in noted] == [("the CRM lost it", delivery["id"])]
    assert noted[0]["actor"] == f"key:{world.keys['acme:operator'][4:12]}"


def test_a_replay_is_counted_dry_and_then_made_paused_resumed_and_cancelled(world: World) -> None:
    webhook = world.webhook()
    world.event()
    world.caller().post(f"/api/admin/webhooks/{webhook['id']}/disable")
    caller = world.caller(role="operator")
    form = {"target": "deliveries", "filters": {"subscription": webhook["id"], "states": ["held"]}, "reason": "why"}
    dry = caller.post("/api/admin/replays", {**form, "dryRun": True})
    assert (dry.status_code, dry.json) == (200, {"success": True, "dryRun": True, "total": 1})
    assert caller.get("/api/admin/replays").json["replays"] == []
    made = caller.post("/api/admin/replays", {**form, "ratePerSecond": 5})
    assert made.status_code == 201
    replay = made.json["replay"]
    assert (replay["state"], replay["total"], replay["done"], replay["reason"]) == ("running", 1, 0, "why")
    assert replay["accountId"] == str(world.acme)
    path = f"/api/admin/replays/{replay['id']}"
    for deed, state in (("pause", "paused"), ("pause", "paused"), ("resume", "running"), ("cancel", "cancelled")):
        assert caller.post(f"{path}/{deed}").json["replay"]["state"] == state
    ended = caller.post(f"{path}/resume")
    assert (ended.status_code, ended.json["error"]["code"]) == (409, "replay_ended")
    assert caller.get(path).json["replay"]["state"] == "cancelled"
    unknown = caller.post("/api/admin/replays", {"target": "deliveries", "filters": {"accountId": str(world.other)}})
    assert unknown.status_code == 422  # whose items is not the caller's to say


def test_an_alert_is_one_while_it_is_open_and_can_be_resolved(world: World) -> None:
    subject = world.acme

    def alarm(message: str) -> None:
        with transaction(world.engine) as connection:
            alerts.raise_alert(
                connection,
                account_id=world.acme,
                kind="subscription.failing",
                severity="warning",
                subject_id=subject,
                message=message,
                detail={"percent": 50},
                now=world.clock(),
            )

    alarm("half way")
    alarm("nearly there")
    listed = world.caller().get("/api/admin/alerts?open=true").json["alerts"]
    assert [alert["message"] for alert in listed] == ["nearly there"]
    path = f"/api/admin/alerts/{listed[0]['id']}/resolve"
    resolved = world.caller(role="operator").post(path).json["alert"]
    world.clock.forward(seconds=5)
    assert world.caller(role="operator").post(path).json["alert"]["resolvedAt"] == resolved["resolvedAt"]
    assert world.caller().get("/api/admin/alerts?open=true").json["alerts"] == []
    alarm("again")
    assert len(world.caller().get("/api/admin/alerts?kind=subscription.failing").json["alerts"]) == 2


def test_refusals_are_shown_to_the_account_they_concern_and_in_full_to_operators(world: World) -> None:
    client = world.app.extensions[EXTENSION].client
    for account in (str(world.acme), str(world.other), ""):
        refusals.record(
            client,
            Refusal("signature_mismatch", "The signature is another's."),
            Request("POST", "/api/webhooks/shopify", Headers([("x-topic", f"of {account}")]), b"the body"),
            at=world.clock(),
            kept=100,
            account_id=account,
        )
    mine = world.caller(role="operator").get("/api/admin/refusals").json["refusals"]
    assert [(entry["code"], entry["bodyStart"]) for entry in mine] == [("signature_mismatch", "the body")]
    assert mine[0]["headers"] == {"x-topic": f"of {world.acme}"}
    viewed = world.caller(role="viewer").get("/api/admin/refusals").json["refusals"]
    assert [(entry["headers"], entry["bodyStart"]) for entry in viewed] == [({}, None)]
    page = world.caller("all", "superuser").get("/api/admin/refusals?limit=2").json
    assert len(page["refusals"]) == 2
    rest = world.caller("all", "superuser").get(f"/api/admin/refusals?cursor={page['pagination']['nextCursor']}").json
    assert len(rest["refusals"]) == 1


def test_every_write_leaves_an_audit_row_and_a_refused_one_none(world: World) -> None:
    webhook = world.webhook()
    path = f"/api/admin/webhooks/{webhook['id']}"
    caller = world.caller()
    caller.patch(path, {"name": "New"})
    caller.patch(path, {"name": ""})
    caller.post(f"{path}/disable")
    caller.post(f"{path}/enable")
    caller.post(f"{path}/test")
    caller.post(f"{path}/rotate-secret")
    caller.delete(path)
    entries = caller.get(f"/api/admin/audit?subjectId={webhook['id']}").json["entries"]
    assert [entry["action"].removeprefix("subscription.") for entry in entries] == [
        "deleted",
        "rotated",
        "tested",
        "enabled",
        "disabled",
        "updated",
        "created",
    ]
    assert {entry["actor"] for entry in entries} == {f"key:{world.keys['acme:admin'][4:12]}"}
    assert entries[-2]["detail"] == {"name": "New"}


def test_the_audit_log_is_told_the_host_of_a_url_and_not_what_lets_anybody_post_there(world: World) -> None:
    url = "http://127.0.0.1:8999/services/T0/B0/capability?key=hush"
    webhook = world.webhook(url=url)
    world.caller().patch(f"/api/admin/webhooks/{webhook['id']}", {"url": f"{url}2"})
    answer = world.caller().get(f"/api/admin/audit?subjectId={webhook['id']}")
    assert [entry["detail"]["host"] for entry in answer.json["entries"]] == ["127.0.0.1", "127.0.0.1"]
    assert "capability" not in answer.text


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"])
def test_metrics_are_open_to_this_machine_and_not_through_a_proxy(world: World, header: str) -> None:
    client = world.app.test_client()
    assert client.get("/metrics").status_code == 200
    assert client.get("/metrics", headers={header: "203.0.113.9"}).status_code == 401
    assert client.get("/metrics", environ_base={"REMOTE_ADDR": "203.0.113.9"}).status_code == 401


def test_metrics_count_over_all_accounts_and_so_need_a_key_for_all(world: World) -> None:
    elsewhere = {"environ_base": {"REMOTE_ADDR": "203.0.113.9"}}
    assert world.caller("acme").get("/metrics", **elsewhere).status_code == 403
    scrape = world.caller("all", "viewer").get("/metrics", **elsewhere)
    assert scrape.status_code == 200
    assert scrape.content_type.startswith("text/plain; version=")
    assert "crossdock_database_up 1" in scrape.text


def test_health_is_told_to_all(world: World) -> None:
    response = world.app.test_client().get("/healthz")
    assert (response.status_code, response.json) == (200, {"status": "ok"})


def test_the_catalogue_lists_every_type_with_an_example(world: World) -> None:
    kinds = {
        kind["type"]: kind for kind in world.caller(role="viewer").get("/api/admin/event-types").json["eventTypes"]
    }
    assert "user" in kinds["user.created"]["data"]
    assert kinds["booking.created"]["reserved"] is True


def test_accounts_are_a_superusers_to_make_and_their_own_to_see(world: World) -> None:
    superuser = world.caller("all", "superuser")
    made = superuser.post("/api/admin/accounts", {"slug": "third", "title": "Third"})
    assert made.status_code == 201
    assert superuser.post("/api/admin/accounts", {"slug": "third"}).json["error"]["code"] == "slug_taken"
    assert superuser.post("/api/admin/accounts", {"slug": "Not A Slug"}).json["error"]["code"] == "slug_malformed"
    assert (
        superuser.patch(f"/api/admin/accounts/{made.json['account']['id']}", {"title": "3"}).json["account"]["title"]
        == "3"
    )
    assert superuser.get("/api/admin/accounts").json["accounts"][0]["slug"] == "third"
    assert world.caller().get("/api/admin/accounts").status_code == 403
    assert world.caller().get("/api/admin/accounts/acme").json["account"]["slug"] == "acme"
    assert world.caller().get("/api/admin/accounts/other").status_code == 404
