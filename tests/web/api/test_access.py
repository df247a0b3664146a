"""Who may do what: keys, roles and accounts, for every route there is."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text

from shared import alerts
from shared.db.engine import transaction
from shared.db.tables import api_keys
from shared.ids import new_id
from shared.keys import authenticate
from shared.states import ROLE_RANK, Role
from tests.web.api.conftest import World
from tests.web.api.record_rows import one_of_each
from web import auth
from web.auth import Account

# What a route needs in its body to get past validation; a new route that needs one is added here.
BODIES: dict[str, dict[str, Any]] = {
    "webhooks.create_webhook": {"name": "n", "url": "http://127.0.0.1:8999/", "events": ["*"]},
    "sources.create_source": {"provider": "shopify", "path": "made/by/test"},
    "integrations.create_integration": {"sourceId": str(new_id()), "externalId": "x"},
    "replays.create_replay": {"target": "deliveries"},
    "privacy.ask_export": {"provider": "shopify", "customer": "7"},
    "privacy.ask_erasure": {"provider": "shopify", "customer": "7"},
    "keys.create_key": {"name": "n"},
    "accounts.create_account": {"slug": "made"},
    "accounts.update_account": {"title": "Made"},
}


def routes(world: World) -> list[tuple[str, str, str, auth.Need]]:
    """(endpoint, method, path, need) of every route that is not open to all."""
    found = [
        (rule.endpoint, method, rule.rule, need)
        for rule in world.app.url_map.iter_rules()
        if (need := auth.need_of(world.app, rule.endpoint)) is not None
        for method in (rule.methods or set()) - {"OPTIONS", "HEAD"}
    ]
    assert len(found) > 40
    return found


def records(world: World) -> dict[str, UUID]:
    """One of everything, Acme's, by the noun of its path."""
    world.webhook()
    event = world.event()
    source = world.source(settings={}, name="Acme's shop")["source"]
    caller = world.caller()
    integration = caller.post(
        "/api/admin/integrations",
        {"sourceId": source["id"], "externalId": "acme.myshopify.com", "credentials": {"token": "shpat_very_secret"}},
    ).json["integration"]
    with transaction(world.engine) as connection:
        alert = alerts.raise_alert(
            connection,
            account_id=world.acme,
            kind="subscription.failing",
            severity="warning",
            subject_id=new_id(),
            message="Acme fails",
            now=world.clock(),
        )
    replay = caller.post("/api/admin/replays", {"target": "deliveries", "reason": "Acme asked"}).json["replay"]
    key = caller.get("/api/admin/keys").json["keys"][0]
    return {
        "webhooks": UUID(caller.get("/api/admin/webhooks").json["webhooks"][0]["id"]),
        "deliveries": UUID(caller.get("/api/admin/deliveries").json["deliveries"][0]["id"]),
        "events": event,
        "messages": world.message(),
        "sources": UUID(source["id"]),
        "integrations": UUID(integration["id"]),
        "replays": UUID(replay["id"]),
        "alerts": alert,
        "keys": UUID(key["id"]),
        "accounts": world.acme,
        **one_of_each(world.engine, world.acme, now=world.clock()),
    }


def noun_of(rule: str) -> str:
    """Whose id stands in the path of a route."""
    if rule.startswith("/api/webhooks/register/"):
        return "integrations"
    return rule.split("/")[3] if rule.startswith("/api/admin/") else "messages"


def test_nothing_but_the_reference_and_health_is_open(world: World) -> None:
    open_ones = {rule.rule for rule in world.app.url_map.iter_rules() if auth.need_of(world.app, rule.endpoint) is None}
    assert {path for path in open_ones if not path.startswith("/api/docs")} == {
        "/healthz",
        "/metrics",
        *("/shopify/<shop>/login", "/shopify/callback", "/shopify/<shop>"),  # a shop's owner has no key
    }


def test_every_route_refuses_no_key_a_wrong_key_and_a_revoked_one(world: World) -> None:
    with transaction(world.engine) as connection:
        revoked = world.keys["acme:admin"]
        connection.execute(text("UPDATE api_keys SET revoked_at = now() WHERE prefix = :p"), {"p": revoked[4:12]})
    good = world.keys["other:admin"]
    client = world.app.test_client()
    for endpoint, method, rule, _ in routes(world):
        path = rule.replace("<id>", str(new_id()))
        for header, code in (
            (None, "key_missing"),
            ("Basic eDp5", "key_missing"),
            ("Bearer ", "key_missing"),
            ("Bearer nonsense", "key_invalid"),
            (f"Bearer {good[:-1]}{'A' if good[-1] != 'A' else 'B'}", "key_invalid"),
            (f"Bearer {revoked}", "key_invalid"),
        ):
            headers = {"Authorization": header} if header else {}
            response = client.open(path, method=method, headers=headers, data=b"{not json")
            assert response.status_code == 401, (endpoint, header)
            assert response.json["error"]["code"] == code
            assert response.headers["WWW-Authenticate"].startswith("Bearer")


def test_x_admin_id_alone_is_no_authentication(world: World) -> None:
    response = world.app.test_client().get("/api/admin/webhooks", headers={"X-Admin-ID": str(world.acme)})
    assert response.status_code == 401


def test_every_route_refuses_a_role_that_is_too_weak_before_it_reads_the_body(world: World) -> None:
    for endpoint, method, rule, need in routes(world):
        for role in (Role.VIEWER, Role.OPERATOR, Role.ADMIN):
            response = world.caller(role=role).call(
                method, rule.replace("<id>", str(new_id())), data=b"{not json", content_type="application/json"
            )
            weak = ROLE_RANK[role] < ROLE_RANK[need.role]
            code = response.json.get("error", {}).get("code")
            assert (code == "role_insufficient") == weak, (endpoint, role, code)


def test_every_read_needs_a_viewer_at_most_an_admin_and_every_write_more(world: World) -> None:
    for endpoint, method, _, need in routes(world):
        if method != "GET":
            assert ROLE_RANK[need.role] >= ROLE_RANK[Role.OPERATOR], endpoint


def test_a_key_may_not_act_for_another_account_nor_learn_whether_it_is_there(world: World) -> None:
    for named in (str(world.other), "other", str(new_id()), "no-such"):
        response = world.caller(account=named).get("/api/admin/webhooks")
        assert (response.status_code, response.json["error"]["code"]) == (403, "account_forbidden")
    for named in (str(world.acme), "acme", None):
        assert world.caller(account=named).get("/api/admin/webhooks").status_code == 200


def test_a_key_for_every_account_must_name_one_where_one_is_needed(world: World) -> None:
    for endpoint, method, rule, need in routes(world):
        response = world.caller("all", "superuser").call(
            method, rule.replace("<id>", str(new_id())), BODIES.get(endpoint, {}) if method != "GET" else None
        )
        code = response.json.get("error", {}).get("code")
        assert (code == "account_required") == (need.account is Account.ONE), endpoint
    superuser = world.caller("all", "superuser", account="no-such")
    assert superuser.get("/api/admin/webhooks").json["error"]["code"] == "account_not_found"


def test_a_superuser_acts_for_the_account_it_names(world: World) -> None:
    made = world.webhook(world.caller("all", "superuser", account="other"))
    assert world.caller("other").get(f"/api/admin/webhooks/{made['id']}").status_code == 200
    assert world.caller("acme").get(f"/api/admin/webhooks/{made['id']}").status_code == 404


def test_no_route_shows_or_touches_what_is_another_accounts(world: World) -> None:
    theirs = records(world)
    with world.engine.connect() as connection:
        before = {table: list(connection.execute(text(f"SELECT * FROM {table} ORDER BY 1"))) for table in TABLES}
    secret_words = ("acme", "Acme", *(str(value) for value in theirs.values()))
    for endpoint, method, rule, need in routes(world):
        if need.account is Account.NONE:
            assert world.caller("other").call(method, rule, BODIES.get(endpoint)).status_code == 403, endpoint
            continue
        if ("<id>" not in rule and method != "GET") or "<path:" in rule:
            continue  # creation, which names nobody else's; replays, integrations and documents have their own tests
        noun = noun_of(rule)
        path = rule.replace("<id>", str(theirs[noun])) if "<id>" in rule else rule
        response = world.caller("other").call(method, path, BODIES.get(endpoint, {}) if method != "GET" else None)
        assert response.status_code == (404 if "<id>" in rule else 200), (endpoint, response.text)
        missing = world.caller("other").call(
            method, rule.replace("<id>", str(new_id())), BODIES.get(endpoint, {}) if method != "GET" else None
        )
        if "<id>" in rule:
            assert response.json == missing.json, endpoint  # the very same answer as for nothing at all
        for word in secret_words:
            assert word not in response.text, (endpoint, word)
    with world.engine.connect() as connection:
        for table, rows in before.items():
            now = list(connection.execute(text(f"SELECT * FROM {table} ORDER BY 1")))
            assert now == rows, table


TABLES = ("subscriptions", "deliveries", "sources", "integrations", "replay_jobs", "alerts", "accounts", "messages")


def test_its_owner_gets_through_wherever_another_account_does_not(world: World) -> None:
    # The counterpart of the test above: the same set-up, so that it cannot pass for the wrong reason.
    theirs = records(world)
    for endpoint, method, rule, need in routes(world):
        if "<id>" not in rule or need.account is Account.NONE or method == "DELETE":
            continue
        path = rule.replace("<id>", str(theirs[noun_of(rule)]))
        response = world.caller().call(method, path, BODIES.get(endpoint, {}) if method != "GET" else None)
        assert response.status_code != 404, (endpoint, response.text)
        if endpoint == "keys.revoke_key":
            assert response.status_code == 200


def test_a_foreign_webhook_or_source_cannot_be_named_in_a_body(world: World) -> None:
    theirs = records(world)
    caller = world.caller("other")
    replay = caller.post(
        "/api/admin/replays", {"target": "deliveries", "filters": {"subscription": str(theirs["webhooks"])}}
    )
    assert replay.status_code == 404
    by_id = {"target": "deliveries", "filters": {"ids": [str(theirs["deliveries"])]}, "dryRun": True}
    assert caller.post("/api/admin/replays", by_id).json["total"] == 0
    integration = {"sourceId": str(theirs["sources"]), "externalId": "stolen.myshopify.com"}
    assert caller.post("/api/admin/integrations", integration).status_code == 404


def test_filters_by_foreign_ids_find_nothing(world: World) -> None:
    theirs = records(world)
    caller = world.caller("other")
    assert caller.get(f"/api/admin/deliveries?subscriptionId={theirs['webhooks']}").json["deliveries"] == []
    assert caller.get(f"/api/admin/deliveries?eventId={theirs['events']}").json["deliveries"] == []
    assert caller.get("/api/admin/messages?deliveryKey=d-1").json["messages"] == []
    assert world.caller().get("/api/admin/messages?deliveryKey=d-1").json["messages"] != []


def test_keys_are_hashed_and_their_last_use_is_noted_once_a_minute(world: World) -> None:
    key = world.keys["acme:viewer"]

    def used() -> Any:
        with world.engine.connect() as connection:
            return connection.execute(select(api_keys.c.last_used_at).where(api_keys.c.prefix == key[4:12])).scalar()

    with world.engine.connect() as connection:
        stored = connection.execute(text("SELECT string_agg(CAST(k.* AS text), ' ') FROM api_keys k")).scalar_one()
    assert key not in stored
    assert key[13:] not in stored
    first = world.clock()
    world.caller(role="viewer").get("/api/admin/webhooks")
    world.clock.forward(seconds=59)
    world.caller(role="viewer").get("/api/admin/webhooks")
    assert used() == first
    world.clock.forward(seconds=2)
    world.caller(role="viewer").get("/api/admin/webhooks")
    assert used() == world.clock()


@pytest.mark.parametrize("text_", ["", "cdk_", "cdk_aaaaaaaa_", "cdk_aaaaaaaa_" + "é" * 43, "\x00", "cdk_" * 1000])
def test_what_is_no_key_authenticates_nobody(world: World, text_: str) -> None:
    with transaction(world.engine) as connection:
        assert authenticate(connection, text_, now=world.clock()) is None


def test_a_key_makes_none_stronger_than_itself_nor_for_others(world: World) -> None:
    admin = world.caller()
    made = admin.post("/api/admin/keys", {"name": "robot", "role": "operator"})
    assert made.status_code == 201
    assert made.json["key"]["accountId"] == str(world.acme)
    robot = world.caller()
    robot.key = made.json["key"]["key"]
    assert robot.get("/api/admin/deliveries").status_code == 200
    assert made.json["key"]["key"] not in admin.get("/api/admin/keys").text
    assert (
        admin.post("/api/admin/keys", {"name": "r", "role": "superuser"}).json["error"]["code"] == "role_insufficient"
    )
    assert robot.post("/api/admin/keys", {"name": "r", "role": "viewer"}).status_code == 403
    named = world.caller("all", "superuser", account="acme").post("/api/admin/keys", {"name": "s", "role": "superuser"})
    assert named.json["error"]["code"] == "superuser_has_no_account"
    everywhere = world.caller("all", "superuser").post("/api/admin/keys", {"name": "s", "role": "superuser"})
    assert everywhere.json["key"]["accountId"] is None
    admin.post(f"/api/admin/keys/{made.json['key']['id']}/revoke")
    assert robot.get("/api/admin/deliveries").status_code == 401
