"""Records, event types and privacy requests over the API."""

from datetime import timedelta
from typing import Any

import jsonschema
import pytest

from shared.event_schemas import record_schema
from shared.record_kinds import RECORDS
from tests.web.api.conftest import World
from tests.web.api.record_rows import one_of_each, record
from web.context import EXTENSION


@pytest.mark.parametrize("name", RECORDS)
def test_every_kind_is_listed_and_shown_in_its_own_shape(world: World, name: str) -> None:
    kind = RECORDS[name]
    made = record(world.engine, world.acme, name, now=world.clock(), external_id="x-1")
    listed = world.caller(role="operator").get(f"/api/admin/{kind.plural}").json
    [shown] = listed["records"]
    assert shown["externalId"] == "x-1"
    jsonschema.validate(shown, record_schema(kind))
    assert world.caller(role="operator").get(f"/api/admin/{kind.plural}/{made}").json[name] == shown


@pytest.mark.parametrize("name", RECORDS)
def test_what_says_something_of_a_person_is_for_operators(world: World, name: str) -> None:
    response = world.caller(role="viewer").get(f"/api/admin/{RECORDS[name].plural}")
    assert response.status_code == (403 if RECORDS[name].personal else 200)


def test_a_list_goes_on_where_its_page_ended(world: World) -> None:
    made = [record(world.engine, world.acme, "order", now=world.clock()) for _ in range(5)]
    seen, cursor = [], None
    for _ in range(3):
        more = f"&cursor={cursor}" if cursor else ""
        answer = world.caller().get(f"/api/admin/orders?limit=2{more}").json
        seen += [row["id"] for row in answer["records"]]
        cursor = answer["pagination"]["nextCursor"]
    assert seen == [str(key) for key in reversed(made)]
    assert cursor is None


def test_filters_find_what_they_say_and_nothing_else(world: World) -> None:
    at = world.clock()
    record(world.engine, world.acme, "shipment", now=at, external_id="a", status="shipped", order_external_id="1")
    later = at + timedelta(minutes=5)
    record(world.engine, world.acme, "shipment", now=later, external_id="b", status="delivered", provider="myntra")
    record(world.engine, world.acme, "shipment", now=at, external_id="c", deleted_at=at, tenant="other")

    def found(query: str) -> list[str]:
        rows = world.caller().get("/api/admin/shipments", query_string=query).json["records"]
        return [row["externalId"] for row in rows]

    assert found("") == ["b", "a"]
    assert found("deleted=true") == ["c", "b", "a"]
    assert found("status=shipped") == found("orderExternalId=1") == found("externalId=a") == ["a"]
    assert found("provider=myntra") == ["b"]
    assert found("deleted=true&tenant=other") == ["c"]
    assert found(f"updatedAfter={at.isoformat().replace('+00:00', 'Z')}") == ["b"]
    assert world.caller().get("/api/admin/products?status=active&orderExternalId=1").json["records"] == []


def test_a_deleted_record_is_shown_blank_with_when_it_went(world: World) -> None:
    made = record(world.engine, world.acme, "order", now=world.clock(), deleted_at=world.clock())
    shown = world.caller().get(f"/api/admin/orders/{made}").json["order"]
    assert shown["deletedAt"] is not None
    assert shown["lineItems"] == []


def test_the_catalogue_has_a_schema_that_each_example_keeps(world: World) -> None:
    kinds = world.caller(role="viewer").get("/api/admin/event-types").json["eventTypes"]
    assert len(kinds) > 30
    for kind in kinds:
        jsonschema.Draft202012Validator.check_schema(kind["schema"])
        data: dict[str, Any] = kind["schema"]["properties"]["data"]
        jsonschema.validate(kind["data"], data)


def test_an_erasure_is_asked_for_with_a_reason_and_shows_how_it_stands(world: World) -> None:
    body = {"provider": "shopify", "tenant": "acme.myshopify.com", "customer": "7", "reason": "she wrote to us"}
    asked = world.caller().post("/api/admin/erasures", body)
    assert asked.status_code == 202
    erasure = asked.json["erasure"]
    assert (erasure["state"], erasure["subject"], erasure["messageId"]) == ("requested", "7", None)
    assert world.caller().get(f"/api/admin/erasures/{erasure['id']}").json["erasure"] == erasure
    assert world.caller().get("/api/admin/erasures?state=done").json["erasures"] == []
    [entry] = world.caller().get("/api/admin/audit?action=erasure.requested").json["entries"]
    assert (entry["subjectId"], entry["reason"]) == (erasure["id"], "she wrote to us")
    refused = world.caller().post("/api/admin/erasures", {"provider": "shopify", "customer": ""})
    assert (refused.status_code, refused.json["error"]["code"]) == (422, "subject_malformed")


def test_an_exports_file_is_given_out_and_that_is_noted(world: World) -> None:
    made = one_of_each(world.engine, world.acme, now=world.clock())["exports"]
    missing = world.caller().get(f"/api/admin/exports/{made}/file")
    assert (missing.status_code, missing.json["error"]["code"]) == (503, "file_unreadable")
    folder = world.app.extensions[EXTENSION].settings.data_dir / "exports"
    folder.mkdir(parents=True)
    (folder / "not-here.json").write_bytes(b'{"data": {}}')
    got = world.caller().get(f"/api/admin/exports/{made}/file")
    assert (got.status_code, got.json) == (200, {"data": {}})
    assert world.caller(role="operator").get(f"/api/admin/exports/{made}/file").status_code == 403
    entries = world.caller().get("/api/admin/audit?action=export.downloaded").json["entries"]
    assert [entry["subjectId"] for entry in entries] == [str(made), str(made)]


def test_an_export_is_asked_for(world: World) -> None:
    body = {"provider": "shopify", "tenant": "acme.myshopify.com", "customer": "7"}
    export = world.caller().post("/api/admin/exports", body).json["export"]
    assert [row["id"] for row in world.caller().get("/api/admin/exports").json["exports"]] == [export["id"]]
    assert world.caller().get(f"/api/admin/exports/{export['id']}/file").status_code == 404
