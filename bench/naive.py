"""The baseline: the usual Celery way to do the same, written as most would, on the same servers.

Comes in: a webhook, verified by a Flask view, which sends a task with the payload. A worker inserts an ORM row per
task and sends one more task per subscription, which posts with `requests`, signs, records the outcome and is retried
with a countdown. Left behind: rows in two tables. It is here to be measured and is no part of the product; killed in
the middle it may lose what its broker had not written, like the real ones.
"""

import base64
import hashlib
import hmac
import json
import os
from datetime import UTC, datetime
from typing import Any

import requests
from celery import Celery
from flask import Flask, request
from sqlalchemy import BigInteger, DateTime, ForeignKey, Integer, Text, create_engine, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

from shared import valkey

SOURCE_SECRET = "naive-source-secret"  # noqa: S105 - of the benchmark alone
SUBSCRIPTION_SECRET = b"naive-subscription-secret"
RETRY_SECONDS = 60
TIMEOUT_SECONDS = 10

queue = Celery("naive", broker=valkey.celery_url(os.environ.get("REDIS_URL", "redis://127.0.0.1")))
queue.conf.update(task_acks_late=True, task_ignore_result=True, worker_prefetch_multiplier=4)
_url = os.environ.get("DATABASE_URL", "postgresql://").replace("postgresql://", "postgresql+psycopg2://")
engine = create_engine(_url)
Session = sessionmaker(engine, expire_on_commit=False)


class Model(DeclarativeBase):
    """The ORM's root."""


class Subscriber(Model):
    """Who wants the webhooks."""

    __tablename__ = "naive_subscribers"
    id: Mapped[int] = mapped_column(primary_key=True)
    url: Mapped[str] = mapped_column(Text)


class Webhook(Model):
    """One webhook taken in."""

    __tablename__ = "naive_webhooks"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    delivery_id: Mapped[str] = mapped_column(Text, unique=True)
    topic: Mapped[str] = mapped_column(Text)
    payload: Mapped[dict[str, Any]] = mapped_column(JSONB)
    received_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Shipment(Model):
    """One webhook owed to one subscriber."""

    __tablename__ = "naive_shipments"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    webhook_id: Mapped[int] = mapped_column(ForeignKey("naive_webhooks.id"), index=True)
    subscriber_id: Mapped[int] = mapped_column(ForeignKey("naive_subscribers.id"))
    state: Mapped[str] = mapped_column(Text)
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    status: Mapped[int | None] = mapped_column(Integer)


app = Flask(__name__)


@app.post("/api/webhooks/<path:_path>")
def take_in(_path: str) -> tuple[dict[str, Any], int]:
    """Verify and queue."""
    body = request.get_data()
    signature = base64.b64encode(hmac.digest(SOURCE_SECRET.encode(), body, hashlib.sha256)).decode()
    if not hmac.compare_digest(signature, request.headers.get("X-Shopify-Hmac-Sha256", "")):
        return {"error": "invalid signature"}, 401
    process.delay(
        request.headers["X-Shopify-Webhook-Id"], request.headers["X-Shopify-Topic"], request.get_json(force=True)
    )
    return {"received": True}, 200


@queue.task(autoretry_for=(Exception,), retry_backoff=True, max_retries=3)  # type: ignore[untyped-decorator]
def process(delivery_id: str, topic: str, payload: dict[str, Any]) -> None:
    """Store the webhook and send a task for every subscriber."""
    with Session() as session:
        webhook = Webhook(delivery_id=delivery_id, topic=topic, payload=payload, received_at=datetime.now(UTC))
        session.add(webhook)
        session.flush()
        shipments = [
            Shipment(webhook_id=webhook.id, subscriber_id=subscriber.id, state="pending")
            for subscriber in session.scalars(select(Subscriber))
        ]
        session.add_all(shipments)
        session.commit()
        for shipment in shipments:
            deliver.delay(shipment.id)


@queue.task(  # type: ignore[untyped-decorator]
    bind=True, autoretry_for=(requests.RequestException,), retry_kwargs={"max_retries": 3, "countdown": RETRY_SECONDS}
)
def deliver(self: Any, shipment_id: int) -> None:
    """Post one webhook to one subscriber and record what came of it."""
    with Session() as session:
        shipment = session.get_one(Shipment, shipment_id)
        webhook = session.get_one(Webhook, shipment.webhook_id)
        subscriber = session.get_one(Subscriber, shipment.subscriber_id)
        shipment.attempts = self.request.retries + 1
        body = json.dumps({"event": webhook.topic, "data": webhook.payload}).encode()
        response = requests.post(
            subscriber.url,
            data=body,
            headers={
                "Content-Type": "application/json",
                "webhook-id": str(shipment.id),
                "X-Webhook-Signature": hmac.new(SUBSCRIPTION_SECRET, body, hashlib.sha256).hexdigest(),
            },
            timeout=TIMEOUT_SECONDS,
        )
        response.raise_for_status()
        shipment.state, shipment.status = "delivered", response.status_code
        session.commit()
