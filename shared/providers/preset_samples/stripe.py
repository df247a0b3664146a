"""What Stripe tells of customers, payments and invoices.

Comes in: the event's type, a customer's number and an instant. Comes out: the event; the same for the same arguments.
Every third is of a connected account. Pure. Source: docs.stripe.com, api/events/object, read 2026-11.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from shared.providers import people
from shared.providers.contract import JSON

MAPPING: Final[Mapping[str, JSON]] = {
    "records": [
        {
            "kind": "user",
            "topics": ["customer.created", "customer.updated"],
            "deleteTopics": ["customer.deleted"],
            "id": "data.object.id",
            "version": "created",
            "fields": {
                "fullName": "data.object.name",
                "email": "data.object.email",
                "phone": "data.object.phone",
            },
        },
        {
            "kind": "payment",
            "topics": ["payment_intent.*"],
            "id": "data.object.id",
            "version": "created",
            "fields": {
                "status": "data.object.status",
                "amountMinor": "data.object.amount",
                "currency": "data.object.currency",
                "method": "data.object.payment_method_types[0]",
            },
        },
        {
            "kind": "order",
            "topics": ["invoice.paid"],
            "id": "data.object.id",
            "version": "created",
            "fields": {
                "number": "data.object.number",
                "currency": "data.object.currency",
                "totalMinor": "data.object.total",
                "financialStatus": "'paid'",
                "email": "data.object.customer_email",
            },
        },
    ]
}
_CONNECTED_EVERY: Final = 3


def _event(topic: str, number: int, at: datetime, about: JSON, previous: JSON = None) -> JSON:
    milliseconds, place = int(at.timestamp() * 1000), list(MAKERS).index(topic)
    body: dict[str, Any] = {
        "id": f"evt_{milliseconds}{place}{number:08d}",  # a repeat is known by it
        "object": "event",
        "api_version": "2025-03-31.basil",
        "created": int(at.timestamp()),
        "data": {"object": about} | ({"previous_attributes": previous} if previous else {}),
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": topic,
    }
    return body | {"account": "acct_NorthQuay"} if number % _CONNECTED_EVERY == 0 else body


def _customer_id(number: int) -> str:
    return f"cus_{number:014d}"


def _currency(number: int) -> str:
    return ("eur", "usd", "jpy")[number % 3]


def _customer(topic: str, number: int, at: datetime) -> JSON:
    first, last, email, phone = people.person(number)
    city, country, _, postcode = people.CITIES[number % len(people.CITIES)]
    customer = {
        "id": _customer_id(number),
        "object": "customer",
        "address": {
            "city": city,
            "country": country,
            "line1": f"Kaai {number}",
            "line2": None,
            "postal_code": postcode,
            "state": None,
        },
        "balance": 0,
        "created": 1_741_000_000 + number,
        "currency": _currency(number),
        "delinquent": False,
        "email": email,
        "livemode": False,
        "metadata": {"crew": "noord"} if number % 2 else {},
        "name": f"{first} {last}",
        "phone": phone,
        "preferred_locales": ["nl"],
    }
    if topic != "customer.updated":
        return _event(topic, number, at, customer)
    return _event(topic, number, at, customer | {"phone": people.new_phone(at)}, {"phone": phone})


def _payment(topic: str, number: int, at: datetime) -> JSON:
    amount, is_paid = 1_450 + number, topic == "payment_intent.succeeded"
    refusal = {"type": "card_error", "code": "card_declined", "decline_code": "insufficient_funds"}
    payment = {
        "id": f"pi_{number:024d}",
        "object": "payment_intent",
        "amount": amount,
        "amount_received": amount if is_paid else 0,
        "currency": _currency(number),
        "customer": _customer_id(number),
        "created": int(at.timestamp()),
        "description": None,
        "last_payment_error": None if is_paid else refusal,
        "livemode": False,
        "metadata": {"bestelling": f"Größe-{number}"},
        "payment_method_types": ["bancontact" if number % 2 else "card"],
        "status": "succeeded" if is_paid else "requires_payment_method",
    }
    return _event(topic, number, at, payment)


def _invoice(topic: str, number: int, at: datetime) -> JSON:
    first, last, email, _phone = people.person(number)
    total = 4_900 + number
    line = {"id": f"il_{number:024d}", "object": "line_item", "amount": total, "currency": _currency(number)}
    invoice = {
        "id": f"in_{number:024d}",
        "object": "invoice",
        "amount_due": total,
        "amount_paid": total,
        "amount_remaining": 0,
        "created": int(at.timestamp()),
        "currency": _currency(number),
        "customer": _customer_id(number),
        "customer_email": email,
        "customer_name": f"{first} {last}",
        "lines": {
            "object": "list",
            "data": [line | {"description": "Ligplaats", "quantity": 1}],
            "has_more": False,
        },
        "livemode": False,
        "number": f"QUAY-{number:04d}",
        "status": "paid",
        "status_transitions": {"paid_at": int(at.timestamp()), "voided_at": None},
        "subtotal": total,
        "total": total,
    }
    return _event(topic, number, at, invoice)


MAKERS: Final[Mapping[str, Callable[[str, int, datetime], JSON]]] = {
    "customer.created": _customer,
    "customer.updated": _customer,
    "customer.deleted": _customer,
    "payment_intent.payment_failed": _payment,
    "payment_intent.succeeded": _payment,
    "invoice.paid": _invoice,
}
