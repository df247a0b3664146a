"""A console over the test's own servers, two accounts, a key for every role, and a clock that is moved by hand."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, insert
from werkzeug.test import TestResponse

from shared import accounts, keys
from shared.clock import utc_now
from shared.db.engine import transaction
from shared.db.tables import messages
from shared.events import EventDraft, emit, envelope
from shared.ids import new_id
from shared.settings import Settings
from shared.states import Role
from web.console import Console, make_app
from web.context import EXTENSION

URL = "http://127.0.0.1:8999/hook"


@dataclass
class Clock:
    """The console's clock."""

    at: datetime = field(default_factory=lambda: utc_now().astimezone(UTC))

    def __call__(self) -> datetime:
        return self.at

    def forward(self, **by: float) -> None:
        self.at += timedelta(**by)


@dataclass
class Caller:
    """A client that always sends one key, and perhaps one account."""

    client: FlaskClient
    key: str
    account: str | None = None

    def call(self, method: str, path: str, body: Any = None, **more: Any) -> TestResponse:
        headers = {"Authorization": f"Bearer {self.key}", **more.pop("headers", {})}
        if self.account is not None:
            headers["X-Admin-ID"] = self.account
        return self.client.open(path, method=method, json=body, headers=headers, **more)

    def get(self, path: str, **more: Any) -> TestResponse:
        return self.call("GET", path, **more)

    def post(self, path: str, body: Any = None, **more: Any) -> TestResponse:
        return self.call("POST", path, {} if body is None else body, **more)

    def patch(self, path: str, body: Any, **more: Any) -> TestResponse:
        return self.call("PATCH", path, body, **more)

    def delete(self, path: str, **more: Any) -> TestResponse:
        return self.call("DELETE", path, **more)


@dataclass
class World:
    """Two accounts and who may act for them."""

    app: Console
    engine: Engine
    clock: Clock
    acme: UUID
    other: UUID
    keys: dict[str, str]  # "acme:admin" -> key

    def caller(self, whose: str = "acme", role: str = "admin", account: str | None = None) -> Caller:
        return Caller(self.app.test_client(), self.keys[f"{whose}:{role}"], account)

    def webhook(self, caller: Caller | None = None, **fields: Any) -> dict[str, Any]:
        body = {"name": "Acme's CRM", "url": URL, "events": ["user.*"], **fields}
        response = (caller or self.caller()).post("/api/admin/webhooks", body)
        assert response.status_code == 201, response.json
        return dict(response.json["webhook"])

    def source(self, **fields: Any) -> dict[str, Any]:
        body = {"provider": "shopify", "path": "shopify/acme", **fields}
        response = self.caller().post("/api/admin/sources", body)
        assert response.status_code == 201, response.json
        return dict(response.json)

    def event(self, type_: str = "user.created", **fields: Any) -> UUID:
        draft = EventDraft(
            account_id=self.acme,
            type=type_,
            body=envelope(event_type=type_, data={"user": {"id": "1"}}, source="t", action="created", at=self.clock()),
            occurred_at=self.clock(),
            **fields,
        )
        with transaction(self.engine) as connection:
            emit(connection, [draft], now=self.clock())
        return draft.id

    def message(self, **fields: Any) -> UUID:
        row: dict[str, Any] = {
            "id": new_id(),
            "account_id": self.acme,
            "source_id": new_id(),
            "provider": "shopify",
            "topic": "customers/create",
            "tenant": "acme.myshopify.com",
            "delivery_key": "d-1",
            "headers": [["x-shopify-topic", "customers/create"]],
            "body": '{"id": 1, "first_name": "Zoë"}'.encode(),
            "body_digest": bytes(32),
            "state": "processed",
            "received_at": self.clock(),
            "processed_at": self.clock(),
            **fields,
        }
        with transaction(self.engine) as connection:
            connection.execute(insert(messages).values(**row))
        return UUID(str(row["id"]))


@pytest.fixture
def console_settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"allow_http_destinations": True, "allowed_destination_cidrs": "127.0.0.0/8"})


@pytest.fixture
def world(console_settings: Settings, engine: Engine) -> Iterator[World]:
    clock = Clock()
    made: dict[str, str] = {}
    with transaction(engine) as connection:
        acme = accounts.create(connection, slug="acme", title="Acme", now=clock())["id"]
        other = accounts.create(connection, slug="other", title="Other", now=clock())["id"]
        for whose, account in (("acme", acme), ("other", other)):
            for role in (Role.VIEWER, Role.OPERATOR, Role.ADMIN):
                _, made[f"{whose}:{role}"] = keys.create(
                    connection, account_id=account, name=role, role=role, now=clock()
                )
        for role in (Role.VIEWER, Role.SUPERUSER):
            _, made[f"all:{role}"] = keys.create(connection, account_id=None, name=role, role=role, now=clock())
    app = make_app(console_settings, now=clock)
    app.testing = True
    app.config["PROPAGATE_EXCEPTIONS"] = False
    yield World(app, engine, clock, acme, other, made)
    app.extensions[EXTENSION].engine.dispose()
    app.extensions[EXTENSION].client.close()
