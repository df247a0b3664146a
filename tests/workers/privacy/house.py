"""A shop whose messages say what a test wants, and a look at every row that they leave."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import orjson
from sqlalchemy import Connection, text

from shared import privacy
from shared.db.engine import transaction
from shared.providers.contract import Change, Headers, Identity, Outcome, Provider, Request
from tests.workers import rows
from workers.context import Context
from workers.inbound.listings import load_listings
from workers.inbound.process import Inbound, process
from workers.privacy.run import run

NOW = datetime.fromisoformat("2026-03-02T12:00:00+00:00")
LATER = NOW + timedelta(hours=1)
SHOP = "lindenhof.myshopify.com"


class House:
    """One shop whose messages say what a test wants."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.engine = context.engine
        self.account_id = rows.account(self.engine)
        self.source_id = rows.source(self.engine, self.account_id)
        self.subscription_id = rows.subscription(self.engine, self.account_id)

    def hear(
        self, *changes: dict[str, Any], tenant: str = SHOP, broken: bool = False, replay: Inbound | None = None
    ) -> Inbound:
        """Take in one message with these changes; the message."""
        with transaction(self.engine) as connection:
            return self.take_in(connection, *changes, tenant=tenant, broken=broken, replay=replay)

    def take_in(
        self,
        connection: Connection,
        *changes: dict[str, Any],
        tenant: str = SHOP,
        broken: bool = False,
        replay: Inbound | None = None,
    ) -> Inbound:
        """The same in a transaction that the test ends."""
        body = orjson.dumps({"tenant": tenant, "changes": changes, "broken": broken})
        headers = Headers([("x-shop", tenant)])
        message = replay or Inbound(uuid4(), self.source_id, NOW, Request("POST", "/x?token=1", headers, body))
        listings = load_listings(connection, self.context.ring, NOW)
        process(
            connection,
            [message],
            listings=listings,
            now=NOW,
            replay=replay is not None,
            providers={"shopify": _PARROT},
        )
        return message

    def forget(self, subject: str, *, orders: tuple[str, ...] = (), at: datetime = LATER) -> UUID:
        with transaction(self.engine) as connection:
            request_id = privacy.ask_erasure(
                connection,
                account_id=self.account_id,
                provider="shopify",
                tenant=SHOP,
                subject=subject,
                orders=orders,
                at=at,
            )
        assert run(self.context, now=LATER, seconds=60)["erasures"] == 1
        return request_id

    def all(self, table: str) -> list[dict[str, Any]]:
        with self.engine.connect() as connection:
            return [dict(row) for row in connection.execute(text(f"SELECT * FROM {table} ORDER BY id")).mappings()]

    def everything(self) -> str:
        """Every table's every row as text."""
        with self.engine.connect() as connection:
            tables = (
                connection.execute(
                    text(
                        "SELECT relname FROM pg_class"
                        " WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
                    )
                )
                .scalars()
                .all()
            )
            found = [
                row
                for table in tables
                for row in connection.execute(text(f"SELECT CAST(to_jsonb(t) AS text) FROM {table} t")).scalars()
            ]
            bodies = connection.execute(
                text("SELECT encode(body, 'escape') FROM messages WHERE body IS NOT NULL")
            ).scalars()
            return "\n".join([*found, *bodies])


def _identify(request: Request, _: Any, payload: Any) -> Identity:
    return Identity("t", request.body, None, payload["tenant"], None)


def _transform(_: Any, payload: Any, __: Any) -> Outcome:
    if payload["broken"]:
        return Outcome(ignored="not understood")
    return Outcome(
        changes=tuple(
            Change(
                one["kind"],
                one.get("op", "upsert"),
                one["id"],
                NOW + timedelta(minutes=one.get("minute", 0)),
                one.get("fields", {}),
            )
            for one in payload["changes"]
        )
    )


_PARROT = Provider("shopify", "Parrot", lambda *_: None, lambda *_: "", _identify, _transform, ("t",), lambda _: [])


def user(external_id: str, minute: int = 0, **fields: Any) -> dict[str, Any]:
    given = {"email": f"secret-{external_id}@x.example", "first_name": "Secretia", **fields}
    return {"kind": "user", "id": external_id, "minute": minute, "fields": given}


def merge(gone: str, kept: str, minute: int = 0) -> dict[str, Any]:
    fields = {"attributes": {"merged_into": kept}}
    return {"kind": "user", "op": "delete", "id": gone, "minute": minute, "fields": fields}


def order(external_id: str, customer: str | None, minute: int = 0, **fields: Any) -> dict[str, Any]:
    given = {
        "customer_external_id": customer,
        "email": f"secret-{customer}@x.example",
        "shipping_address": {"line1": "Secretia Street 1"},
        "total_minor": 4200,
        "currency": "EUR",
        "financial_status": "paid",
        **fields,
    }
    return {"kind": "order", "id": external_id, "minute": minute, "fields": given}


def shipment(external_id: str, order_id: str) -> dict[str, Any]:
    fields = {"order_external_id": order_id, "tracking_number": "secret-7-tracking", "status": "shipped"}
    return {"kind": "shipment", "id": external_id, "fields": fields}
