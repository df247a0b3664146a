"""What goes wrong is JSON of one shape, says what and why, and never repeats what was sent."""

import pytest
from sqlalchemy import text

from shared.db.engine import transaction
from shared.settings import Settings
from tests.web.api.conftest import World
from web.console import MAX_REQUEST_BYTES, make_app
from web.context import EXTENSION


@pytest.mark.parametrize(
    ("method", "path", "more", "wanted"),
    [
        ("GET", "/nowhere", {}, (404, "not_found")),
        ("GET", "/api/admin/webhooks/", {}, (404, "not_found")),
        ("PUT", "/api/admin/webhooks", {}, (405, "method_not_allowed")),
        ("GET", "/api/admin/webhooks/no-id", {}, (404, "webhook_not_found")),
        ("GET", "/api/admin/webhooks?limit=0", {}, (422, "validation_failed")),
        ("GET", "/api/admin/webhooks?limit=1001", {}, (422, "validation_failed")),
        ("GET", "/api/admin/webhooks?cursor=x", {}, (422, "validation_failed")),
        ("GET", "/api/admin/webhooks?surprise=1", {}, (422, "validation_failed")),
        ("GET", "/api/admin/deliveries?status=lost", {}, (422, "status_unknown")),
        ("GET", "/api/admin/deliveries?since=yesterday", {}, (422, "validation_failed")),
        ("GET", "/api/admin/refusals?cursor=1", {}, (422, "validation_failed")),
        ("POST", "/api/admin/webhooks", {"data": b"{", "content_type": "application/json"}, (400, "json_malformed")),
        ("POST", "/api/admin/webhooks", {"data": b"\xff", "content_type": "application/json"}, (400, "json_malformed")),
        (
            "POST",
            "/api/admin/webhooks",
            {"data": b"[]", "content_type": "application/json"},
            (422, "body_not_an_object"),
        ),
        ("GET", "/api/admin/accounts/%00", {}, (400, "nul_refused")),
        ("GET", "/api/admin/messages?topic=a%00b", {}, (400, "nul_refused")),
        (
            "POST",
            "/api/admin/webhooks",
            {"data": b'{"events": [{"a": "\\u0000"}]}', "content_type": "application/json"},
            (400, "nul_refused"),
        ),
        ("POST", "/api/admin/webhooks", {"data": b"a=b"}, (415, "content_type_unsupported")),
        ("POST", "/api/admin/webhooks", {}, (422, "validation_failed")),
        (
            "POST",
            "/api/admin/webhooks",
            {"data": b"x" * (MAX_REQUEST_BYTES + 1), "content_type": "application/json"},
            (413, "body_too_large"),
        ),
    ],
)
def test_an_error_has_its_status_and_its_stable_code(
    world: World, method: str, path: str, more: dict[str, object], wanted: tuple[int, str]
) -> None:
    response = world.caller().call(method, path, **more)
    assert (response.status_code, response.json["error"]["code"]) == wanted
    assert set(response.json) == {"error"}
    assert set(response.json["error"]) <= {"code", "message", "details"}
    assert response.json["error"]["message"]
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Cache-Control"] == "no-store"
    if wanted[0] == 405:
        assert "POST" in response.headers["Allow"]


def test_a_validation_error_names_each_field_and_repeats_no_value(world: World) -> None:
    response = world.caller().post("/api/admin/sources", {"provider": 7, "secrets": [["hunter2-secret"]], "x": 1})
    details = response.json["error"]["details"]
    assert {detail["field"] for detail in details} == {"provider", "secrets.0", "x"}
    assert all(set(detail) == {"field", "message", "type"} for detail in details)
    assert "hunter2" not in response.text


def test_a_failure_of_ours_is_a_500_that_tells_only_where_the_log_has_it(world: World) -> None:
    with transaction(world.engine) as connection:
        connection.execute(text("ALTER TABLE subscriptions RENAME COLUMN url TO gone"))
    response = world.caller().get("/api/admin/webhooks")
    assert (response.status_code, response.json["error"]["code"]) == (500, "internal")
    assert "SELECT" not in response.text
    assert "url" not in response.text


def test_a_database_that_is_down_is_a_503_with_retry_after(console_settings: Settings, world: World) -> None:
    settings = console_settings.model_copy(update={"database_url": "postgresql://nobody@127.0.0.1:1/none"})
    app = make_app(settings)
    for path in ("/healthz", "/api/admin/webhooks"):
        headers = {"Authorization": f"Bearer {world.keys['acme:admin']}"}
        response = app.test_client().get(path, headers=headers)
        assert (response.status_code, response.json["error"]["code"]) == (503, "database_unavailable")
        assert response.headers["Retry-After"] == "5"
        assert "127.0.0.1" not in response.text
    app.extensions[EXTENSION].engine.dispose()


def test_a_queue_that_is_down_stops_no_change_but_the_refusals_say_so(console_settings: Settings, world: World) -> None:
    app = make_app(console_settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"}))
    world.app = app
    webhook = world.webhook()
    tested = world.caller().post(f"/api/admin/webhooks/{webhook['id']}/test")
    assert tested.status_code == 202  # it is in the table, and beat wakes the dispatcher
    assert world.source()["source"]["path"] == "shopify/acme"
    refused = world.caller().get("/api/admin/refusals")
    assert (refused.status_code, refused.json["error"]["code"]) == (503, "queue_unavailable")
    app.extensions[EXTENSION].engine.dispose()


def test_an_app_with_a_route_that_nobody_decided_about_does_not_start(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.auth.unmarked", lambda _: ["new.route"])
    with pytest.raises(RuntimeError, match=r"new\.route"):
        make_app(world.app.extensions[EXTENSION].settings)
