"""Settings and credentials that a subscription to each destination may have, where it needs any."""

from typing import Any

SETTINGS: dict[str, dict[str, Any]] = {
    "xwanai": {"apiKeyHeader": "Authorization"},
    "hubspot": {
        "properties": {"favourite_tea": "customFields.favourite_tea", "tags": "tags"},
        "tagSeparator": ";",
        "requestsPerTenSeconds": 190,
    },
}
CREDENTIALS: dict[str, str] = {"xwanai": "xw_live_0123456789", "hubspot": "pat-eu1-0123456789abcdef"}
