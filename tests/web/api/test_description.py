"""The API's description: OpenAPI 3.1, whole, and true to the routes; and the page that shows it."""

import re
from typing import Any

import pytest

from tests.web.api.conftest import World

OPERATION = {"get", "post", "patch", "delete", "put"}


@pytest.fixture
def described(world: World) -> dict[str, Any]:
    response = world.app.test_client().get("/api/docs/openapi.json")
    assert response.status_code == 200
    return dict(response.json)


def operations(described: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, operation)
        for path, item in described["paths"].items()
        for method, operation in item.items()
        if method in OPERATION
    ]


def test_it_is_openapi_3_1_and_every_reference_leads_somewhere(described: dict[str, Any]) -> None:
    assert described["openapi"].startswith("3.1")
    assert {"title", "version", "description"} <= set(described["info"])

    def references(node: Any) -> list[str]:
        if isinstance(node, dict):
            here = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
            return here + [found for value in node.values() for found in references(value)]
        return [found for value in node for found in references(value)] if isinstance(node, list) else []

    found = references(described)
    assert len(found) > 100
    for reference in set(found):
        node: Any = described
        for part in reference.removeprefix("#/").split("/"):
            assert part in node, reference
            node = node[part]


def test_it_describes_every_route_and_no_other(world: World, described: dict[str, Any]) -> None:
    real = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in world.app.url_map.iter_rules()
        if not rule.rule.startswith("/api/docs")
        for method in (rule.methods or set()) - {"OPTIONS", "HEAD"}
    }
    assert {(path, method) for path, method, _ in operations(described)} == real


def test_every_operation_has_an_id_a_summary_its_parameters_and_its_answers(described: dict[str, Any]) -> None:
    ids = [operation["operationId"] for _, _, operation in operations(described)]
    assert len(ids) == len(set(ids))
    for path, method, operation in operations(described):
        where = f"{method} {path}"
        assert operation["summary"].endswith("."), where
        named = {parameter["name"] for parameter in operation.get("parameters", ()) if parameter["in"] == "path"}
        assert named == set(re.findall(r"{(\w+)}", path)), where
        good = [response for status, response in operation["responses"].items() if status.startswith("2")]
        assert good or "303" in operation["responses"], where
        assert all(response["content"] for response in good), where
        if path.startswith("/api/"):
            assert {"401", "403", "422"} <= set(operation["responses"]), where
            assert operation["security"] == [{"key": []}, {"key": [], "account": []}], where


def test_fields_are_camel_case_and_times_are_times(described: dict[str, Any]) -> None:
    schemas = described["components"]["schemas"]
    for name, schema in schemas.items():
        for field in schema.get("properties", {}):
            assert re.fullmatch(r"[a-z][A-Za-z0-9]*", field), (name, field)
    assert schemas["Webhook"]["properties"]["createdAt"]["format"] == "date-time"
    assert "secret" not in schemas["Webhook"]["properties"]
    assert "secret" in schemas["WebhookWithSecret"]["properties"]


def test_the_reference_page_loads_nothing_from_elsewhere(world: World) -> None:
    client = world.app.test_client()
    assert client.get("/api/docs/").headers["Location"] == "/api/docs/swagger"
    page = client.get("/api/docs/swagger")
    policy = page.headers["Content-Security-Policy"]
    assert "unsafe-inline" not in policy.split("style-src")[0]
    nonce = re.search(r"'nonce-([^']+)'", policy)
    assert nonce is not None
    assert f'<script nonce="{nonce[1]}">' in page.text
    assert client.get("/api/docs/swagger").headers["Content-Security-Policy"] != policy
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(loaded) == 3
    for asset in loaded:
        response = client.get(f"/api/docs/{asset}")
        assert response.status_code == 200, asset
        response.close()
    assert "http://" not in page.text
    assert "https://" not in page.text
