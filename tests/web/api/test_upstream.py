"""Asking for registration, test and sync over the API, and reading what came of it."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from shared import documents, registrations
from shared.db.engine import transaction
from shared.registrations import Found, RegistrationState
from tests.web.api.conftest import World


@pytest.fixture
def integration(world: World) -> dict[str, Any]:
    source = world.source()["source"]
    body = {"sourceId": source["id"], "externalId": "acme.myshopify.com"}
    made = world.caller().post("/api/admin/integrations", body).json["integration"]
    return dict(made)


def test_registration_is_asked_for_at_the_path_of_the_contract_and_is_due_at_once(
    world: World, integration: dict[str, Any]
) -> None:
    for _ in range(2):
        response = world.caller().post(f"/api/webhooks/register/{integration['id']}")
        assert response.status_code == 202, response.json
    assert response.json["success"] is True
    [work] = response.json["work"]
    assert (work["kind"], work["state"]) == ("registration", "waiting")
    with transaction(world.engine) as connection:
        assert connection.execute(text("SELECT count(*) FROM upstream_work WHERE due_at IS NOT NULL")).scalar() == 1
        actions = connection.execute(text("SELECT action FROM audit_log ORDER BY id DESC LIMIT 2")).scalars().all()
    assert actions == ["integration.registration_asked"] * 2


@pytest.mark.parametrize("what", ["sync", "test"])
def test_a_sync_and_a_test_can_be_asked_for(world: World, integration: dict[str, Any], what: str) -> None:
    response = world.caller(role="operator").post(f"/api/admin/integrations/{integration['id']}/{what}")
    assert response.status_code == 202
    assert [one["kind"] for one in response.json["work"]] == ["sync" if what == "sync" else "trial"]


def test_what_stands_at_the_provider_is_shown_topic_by_topic(world: World, integration: dict[str, Any]) -> None:
    found = [
        Found("orders/create", RegistrationState.REFUSED, note="no permission"),
        Found("customers/create", RegistrationState.REGISTERED, "gid://1", "https://h.example/x"),
    ]
    with transaction(world.engine) as connection:
        registrations.write(connection, UUID(integration["id"]), found, now=world.clock())
    shown = world.caller(role="viewer").get(f"/api/admin/integrations/{integration['id']}/upstream").json
    assert [(one["topic"], one["state"], one["note"]) for one in shown["registrations"]] == [
        ("customers/create", "registered", None),
        ("orders/create", "refused", "no permission"),
    ]


def test_what_would_never_be_done_is_refused(world: World, integration: dict[str, Any]) -> None:
    source = world.source(provider="robaws", path="robaws/customers")["source"]
    body = {"sourceId": source["id"], "externalId": "acme"}
    other = world.caller().post("/api/admin/integrations", body).json["integration"]
    response = world.caller().post(f"/api/admin/integrations/{other['id']}/sync")
    assert (response.status_code, response.json["error"]["code"]) == (409, "work_unknown")
    world.caller().patch(f"/api/admin/integrations/{integration['id']}", {"state": "disabled"})
    response = world.caller().post(f"/api/webhooks/register/{integration['id']}")
    assert (response.status_code, response.json["error"]["code"]) == (409, "integration_inactive")


def test_another_accounts_integration_is_not_there(world: World, integration: dict[str, Any]) -> None:
    caller = world.caller("other")
    assert caller.post(f"/api/webhooks/register/{integration['id']}").status_code == 404
    assert caller.get(f"/api/admin/integrations/{integration['id']}/upstream").status_code == 404


def test_documents_are_listed_and_read_by_their_own_account_alone(world: World) -> None:
    path = f"users/{world.acme}/shopify/acme.myshopify.com/shop_metadata.json"
    with transaction(world.engine) as connection:
        for body in ('{"shop":1}', '{"shop":"Zoë"}'):
            documents.put(connection, account_id=world.acme, path=path, body=body, now=world.clock())
    caller = world.caller(role="viewer")
    [listed] = caller.get("/api/admin/documents?prefix=users/").json["documents"]
    assert (listed["path"], listed["bytes"]) == (path, 15)
    assert caller.get("/api/admin/documents?prefix=%25").json["documents"] == []
    response = caller.get(f"/api/admin/documents/{path}")
    assert response.json == {"shop": "Zoë"}
    assert listed["sha256"] in response.headers["ETag"]
    other = world.caller("other")
    assert other.get("/api/admin/documents").json["documents"] == []
    assert other.get(f"/api/admin/documents/{path}").status_code == 404


@pytest.mark.parametrize(
    "name", ["10.0.0.7:80/../../../0195c1a2/shopify/victim.myshopify.com", "acme.example.com", ".."]
)
def test_what_is_no_shop_is_none_of_a_shopify_source(world: World, name: str) -> None:
    source = world.source()["source"]["id"]
    caller = world.caller()
    response = caller.post("/api/admin/integrations", {"sourceId": source, "externalId": name})
    assert (response.status_code, response.json["error"]["code"]) == (422, "external_id_malformed")
    assert "acme.myshopify.com" in response.json["error"]["message"]
    assert caller.get("/api/admin/integrations").json["integrations"] == []
    named = caller.post("/api/admin/integrations", {"sourceId": source, "externalId": "Acme"})
    assert named.json["integration"]["externalId"] == "acme.myshopify.com"


def test_a_second_company_of_one_robaws_source_is_refused(world: World) -> None:
    source = world.source(provider="robaws", path="robaws/acme")["source"]["id"]
    caller = world.caller()
    assert caller.post("/api/admin/integrations", {"sourceId": source, "externalId": "company-a"}).status_code == 201
    response = caller.post("/api/admin/integrations", {"sourceId": source, "externalId": "company-b"})
    assert (response.status_code, response.json["error"]["code"]) == (409, "source_taken")
    assert "add a source" in response.json["error"]["message"]
