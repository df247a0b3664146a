"""Sources in the directory without a database, as a publish would have written them."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson

from shared import directory, queues, valkey
from shared.crypto import KeyRing
from shared.ids import new_id

SHOP = "north.myshopify.com"
SECRET = b"a secret of tests"


@dataclass
class Directory:
    """The directory that the ingress reads."""

    client: valkey.Client
    ring: KeyRing
    ids: dict[str, UUID] = field(default_factory=dict)

    def put(
        self,
        path: str,
        provider: str = "shopify",
        *,
        secrets: tuple[tuple[bytes, str | None], ...] = ((SECRET, None),),
        **more: Any,
    ) -> UUID:
        """Write one source and raise the version; `secrets` are pairs of secret and expiry."""
        source_id = self.ids.setdefault(path, new_id())
        sealed = [
            {"id": str(index), "sealed": self.ring.encrypt(secret, place=directory.place(source_id)), "expiresAt": end}
            for index, (secret, end) in enumerate(secrets)
        ]
        entry: dict[str, Any] = {
            "id": str(source_id),
            "account_id": "account-1",
            "provider": provider,
            "active": True,
            "tenants": [SHOP] if provider == "shopify" else None,
            "settings": {},
            "secrets": sealed,
            "allowed_topics": None,
            "rate_per_second": 0,
        }
        self.client.hset(queues.DIRECTORY, path, orjson.dumps(entry | more))
        self.client.incr(queues.DIRECTORY_VERSION)
        return source_id
