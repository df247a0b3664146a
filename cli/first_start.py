"""The first start: an account to begin with, a key to it all, and three lines that send a first webhook.

Left behind: the account `default` and one superuser key. It is one transaction, so a start that dies in the middle is
the first start again; a key whose printing was missed is revoked and made anew with `crossdock keys`. The three lines
change nothing until somebody runs them, and then leave a source whose secret nobody but the reader has seen.
"""

import secrets
import shlex

import orjson

from cli.stack import Addresses
from cli.station import Station
from shared import accounts, audit, keys
from shared.states import Role

ACCOUNT = "default"
PATH = "first"  # not `shopify`, which the shop's own source will want
SECRET_BYTES = 24
_BODY = orjson.dumps({"id": 1, "first_name": "Ada", "email": "ada@example.com", "updated_at": "2026-01-01T00:00:00Z"})


def prepare(station: Station) -> str | None:
    """The new superuser key when this database has no account yet, shown once; `None` ever after."""
    now = station.now()
    with station.transaction() as connection:
        if accounts.list_accounts(connection, limit=1):
            return None
        account = accounts.create(connection, slug=ACCOUNT, title="Default", now=now)
        row, key = keys.create(connection, account_id=None, name="first start", role=Role.SUPERUSER, now=now)
        for action, kind, subject in (("account.created", "account", account["id"]), ("key.created", "key", row["id"])):
            audit.record(
                connection,
                account_id=None,
                actor=station.actor,
                action=action,
                subject_kind=kind,
                subject_id=subject,
                now=now,
            )
    return key


def first_webhook(addresses: Addresses, key: str) -> list[str]:
    """Three shell lines: make a source, subscribe to it, and post a signed webhook as Shopify would.

    The source stays, and takes what is signed with its secret from any shop: so the secret is made anew each time. The
    third tries again, for the ingress learns of a new source within a second and not at once.
    """
    secret = secrets.token_hex(SECRET_BYTES)
    head = f"-H 'Authorization: Bearer {key}' -H 'X-Admin-ID: {ACCOUNT}' -H 'Content-Type: application/json'"
    source = orjson.dumps({"provider": "shopify", "path": PATH, "anyTenant": True, "secrets": [secret]}).decode()
    webhook = orjson.dumps({"name": "My CRM", "url": "https://crm.example.com/webhooks", "events": ["*"]}).decode()
    body = shlex.quote(_BODY.decode())
    signature = f"$(printf %s {body} | openssl dgst -sha256 -hmac {secret} -binary | base64)"
    return [
        f"curl -X POST {addresses.console}/api/admin/sources {head} -d {shlex.quote(source)}",
        f"curl -X POST {addresses.console}/api/admin/webhooks {head} -d {shlex.quote(webhook)}",
        (
            f"curl -f --retry 3 --retry-all-errors -X POST {addresses.ingress}/api/webhooks/{PATH}"
            " -H 'Content-Type: application/json' -H 'X-Shopify-Topic: customers/create'"
            " -H 'X-Shopify-Shop-Domain: first.myshopify.com'"
            f" -H 'X-Shopify-Webhook-Id: first-1' -H \"X-Shopify-Hmac-Sha256: {signature}\" -d {body}"
        ),
    ]
