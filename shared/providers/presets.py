"""Senders that we know: how each signs, and where it says what a message is. A preset is settings written out.

Pure; nothing is left behind by importing this.
"""

from collections.abc import Mapping
from typing import Any, Final

from shared.providers.contract import JSON

_STANDARD: dict[str, JSON] = {
    "encoding": "base64",
    "prefix": "v1,",
    "public_key_prefix": "v1a,",
    "list_separator": " ",
    "template": "{id}.{ts}.{body}",
    "key_encoding": "whsec",
}
_HUBSPOT: dict[str, JSON] = {"mode": "digest", "header": "X-HubSpot-Signature"}

SCHEMES: Mapping[str, dict[str, JSON]] = {
    "hmac": {},
    # Source: github.com/standard-webhooks, spec, read 2026-11.
    "standard-webhooks": {
        **_STANDARD,
        "header": "webhook-signature",
        "id_header": "webhook-id",
        "timestamp": {"header": "webhook-timestamp"},
    },
    # Source: docs.svix.com, receiving/verifying-payloads, read 2026-11.
    "svix": {
        **_STANDARD,
        "header": "svix-signature",
        "id_header": "svix-id",
        "timestamp": {"header": "svix-timestamp"},
    },
    # Source: docs.github.com, webhooks/using-webhooks/validating-webhook-deliveries, read 2026-11. The older sha1
    # header is no fallback: whoever could forge it would.
    "github": {"header": "X-Hub-Signature-256", "prefix": "sha256="},
    # Source: docs.stripe.com, webhooks/signature, read 2026-11. The key is the whole whsec_ text.
    "stripe": {
        "header": "Stripe-Signature",
        "elements": {"timestamp": "t", "signatures": ["v1"]},
        "timestamp": {},
        "template": "{ts}.{body}",
    },
    # Source: docs.slack.dev, authentication/verifying-requests-from-slack, read 2026-11.
    "slack": {
        "header": "X-Slack-Signature",
        "prefix": "v0=",
        "timestamp": {"header": "X-Slack-Request-Timestamp"},
        "template": "v0:{ts}:{body}",
    },
    # Source: developers.hubspot.com, webhooks/validating-requests, read 2026-11. The older two have no time in them,
    # and a plain digest instead of an HMAC: for senders that have nothing better.
    "hubspot": {
        "encoding": "base64",
        "header": "X-HubSpot-Signature-v3",
        "timestamp": {"header": "X-HubSpot-Request-Timestamp", "unit": "ms"},
        "template": "{method}{url:decoded}{body}{ts}",
    },
    "hubspot-v2": {**_HUBSPOT, "template": "{method}{url}{body}"},
    "hubspot-v1": {**_HUBSPOT, "template": "{body}"},
    # Source: twilio.com, docs/usage/security, read 2026-11. No time is signed: a repeat is known by its content.
    "twilio": {
        "algorithm": "sha1",
        "encoding": "base64",
        "header": "X-Twilio-Signature",
        "template": "{url}{form}",
    },
}

# Whose senders post forms as well: GitHub's and Slack's with JSON in a field, Twilio's with all of it; and anybody's.
FORMS: Final = frozenset(("hmac", "github", "slack", "twilio"))

_HUBSPOTS: dict[str, Any] = {
    "items": "@",  # up to a hundred events in no order, of several kinds and contacts
    # A delivery has no id of its own, and says in its body which attempt it is: so the ids of all that is in it. An
    # eventId is not certain to be of one event only, so what it was about and when belong to it.
    "dedupe": {
        "jmespath": "join(',', [].join(':', [to_string(portalId), to_string(eventId), to_string(subscriptionId),"
        " to_string(objectId), to_string(occurredAt), to_string(subscriptionType)]))"
    },
    "topic": {"json": "subscriptionType"},
    "tenant": {"json": "portalId"},
    "occurred_at": {"json": "occurredAt", "unit": "ms"},
}

# Where each sender says what a message is, where the settings say nothing else; of items, where it says so in each.
PLACES: Mapping[str, dict[str, Any]] = {
    "hmac": {},
    "standard-webhooks": {
        "dedupe": {"header": "webhook-id"},
        "topic": {"json": "type"},
        "occurred_at": {"json": "timestamp"},
    },
    "svix": {"dedupe": {"header": "svix-id"}, "topic": {"json": "type"}, "occurred_at": {"json": "timestamp"}},
    "github": {
        "dedupe": {"header": "X-GitHub-Delivery"},
        "topic": {"header": "X-GitHub-Event"},
        "tenant": {"json": "repository.full_name"},
    },
    "stripe": {
        "dedupe": {"json": "id"},
        "topic": {"json": "type"},
        "tenant": {"json": "account"},
        "occurred_at": {"json": "created", "unit": "s"},
    },
    "slack": {
        "dedupe": {"json": "event_id"},
        "topic": {"json": "event.type"},
        "tenant": {"jmespath": "team_id || team.id"},  # of an event or a command, and of a button
        "occurred_at": {"json": "event_time", "unit": "s"},
    },
    "hubspot": _HUBSPOTS,
    "hubspot-v2": _HUBSPOTS,
    "hubspot-v1": _HUBSPOTS,
    "twilio": {
        "dedupe": {"header": "I-Twilio-Idempotency-Token"},
        # message.received, message.delivered, call.completed, ...
        "topic": {
            "jmespath": "(MessageStatus || SmsStatus) && join('.', ['message', MessageStatus || SmsStatus])"
            " || CallStatus && join('.', ['call', CallStatus]) || 'message'"
        },
        "tenant": {"json": "AccountSid"},
    },
}
