"""Shopify's customers: create, update, delete, merge, and consent to marketing.

Comes in: the body of a customers topic. Comes out: changes of one user; consent is one of its own, wherever it stands.
Pure.
"""

from datetime import datetime
from typing import Final

from shared.errors import PayloadUnexpected
from shared.providers import reading
from shared.providers.contract import JSON, Change, Identity, Outcome, Source
from shared.providers.shopify import resource
from shared.providers.shopify.resource import Body
from shared.users import MERGED_INTO

# A body with one of these is a customer's snapshot; a deletion never carries them.
# Source: shopify.dev, webhooks topics reference, customers/delete, read 2026-11.
_SNAPSHOT_ONLY = ("created_at", "updated_at", "email", "first_name", "last_name", "default_address")
# What has a column of ours; all else is kept under attributes.
_MAPPED = frozenset(
    """id admin_graphql_api_id email phone first_name last_name created_at updated_at tags default_address
    email_marketing_consent sms_marketing_consent""".split()  # noqa: SIM905  # shorter than a name a line
)
_CHANNELS: Final = ("email", "sms")


def snapshot(body: Body, identity: Identity, source: Source) -> Outcome:
    """The user as it is now, and the consent that an older body has within it: until API version 2024-10."""
    del identity, source
    customer_id = resource.identifier(body, "Customer")
    version = reading.instant(body, "updated_at")
    # Only where the body speaks of it: its absence says nothing.
    consents = [
        _consent_change(customer_id, channel, consent, otherwise=version)
        for channel in _CHANNELS
        if (consent := reading.optional_object(body, _name(channel))) is not None and consent.get("state") is not None
    ]
    return Outcome(changes=(Change("user", "upsert", customer_id, version, _fields(body)), *consents))


def deletion(body: Body, identity: Identity, source: Source) -> Outcome:
    """The user's end. There is no updated_at: the tombstone stands from when it was triggered."""
    del source
    customer_id = resource.deleted_identifier(body, "Customer", _SNAPSHOT_ONLY)
    return Outcome(changes=(Change("user", "delete", customer_id, identity.occurred_at),))


def merge(body: Body, identity: Identity, source: Source) -> Outcome:
    """The end of the customer that was merged into another one, who has its orders and its own customers/update.

    Source: shopify.dev, webhooks topics reference, customers/merge, read 2026-11.
    """
    del source
    kept = resource.identifier_in_gid(body, "admin_graphql_api_customer_kept_id", "Customer")
    gone = resource.identifier_in_gid(body, "admin_graphql_api_customer_deleted_id", "Customer")
    if kept == gone:
        raise PayloadUnexpected("the customer that is kept is the one that is deleted")
    status = reading.text(body, "status")
    if status != "completed":
        return Outcome(ignored=f"the merge is {status}")
    fields = {"attributes": {MERGED_INTO: kept}}
    return Outcome(changes=(Change("user", "delete", gone, identity.occurred_at, fields),))


def email_consent(body: Body, identity: Identity, source: Source) -> Outcome:
    """Whether the customer may be written to.

    Source: shopify.dev, webhooks topics reference, customers_email_marketing_consent/update, read 2026-11.
    """
    del source
    return _consent(body, identity, channel="email", id_name="customer_id")


def sms_consent(body: Body, identity: Identity, source: Source) -> Outcome:
    """Whether the customer may be sent text messages.

    Source: shopify.dev, webhooks topics reference, customers_marketing_consent/update, read 2026-11.
    """
    del source
    return _consent(body, identity, channel="sms", id_name="id")


def _consent(body: Body, identity: Identity, *, channel: str, id_name: str) -> Outcome:
    customer_id = reading.identifier(body, id_name)
    # The topic is unsigned: an older snapshot, which has consent in it, must not count as consent of now.
    if found := [field for field in _SNAPSHOT_ONLY if field in body]:
        raise PayloadUnexpected(f"a consent does not carry {found[0]}")
    consent = reading.as_object(body.get(_name(channel)), _name(channel))
    return Outcome(changes=(_consent_change(customer_id, channel, consent, otherwise=identity.occurred_at),))


def _consent_change(customer_id: str, channel: str, consent: Body, *, otherwise: datetime | None) -> Change:
    """Consent as of when it was given or withdrawn: a part of the user with a clock of its own.

    A customer's webhooks and the consent's own come in no order. By the customer's clock a late one of the former would
    bring back a consent that was withdrawn since.
    """
    fields: dict[str, JSON] = {
        "opt_ins": {channel: reading.text(consent, "state") == "subscribed"},
        "attributes": {_name(channel): reading.with_text_ids(dict(consent))},
    }
    version = reading.optional_instant(consent, "consent_updated_at") or otherwise
    return Change("user", "upsert", customer_id, version, fields, part=f"{channel}_consent")


def _name(channel: str) -> str:
    return f"{channel}_marketing_consent"


def _fields(body: Body) -> dict[str, JSON]:
    fields = resource.said(body, _PLAIN)
    fields["attributes"] = reading.rest(body, _MAPPED)
    if "first_name" in body and "last_name" in body:
        parts = (reading.optional_text(body, "first_name"), reading.optional_text(body, "last_name"))
        fields["full_name"] = " ".join(part for part in parts if part) or None
    # A customer who gave a number only with the address is reached there.
    if "phone" in body:
        default = reading.optional_object(body, "default_address")
        own = reading.optional_text(body, "phone")
        fields["phone"] = own or (reading.optional_text(default, "phone") if default else None)
    return fields


def _default_address(body: Body, name: str) -> dict[str, JSON] | None:
    return resource.address(reading.optional_object(body, name))


_PLAIN: Final[resource.Table] = {
    "created_at": ("created_at", reading.optional_instant),
    "first_name": ("first_name", reading.optional_text),
    "last_name": ("last_name", reading.optional_text),
    "email": ("email", reading.optional_text),
    # It may be left out; only a null says that there is none.
    "address": ("default_address", _default_address),
    # Present until API version 2024-10; from 2025-01 tags have topics of their own.
    "tags": ("tags", lambda body, name: [reading.tag(tag) for tag in resource.words(body, name)]),
}
