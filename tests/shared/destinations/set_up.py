"""Settings and credentials that a subscription to each destination may have, where it needs any."""

import json
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

SETTINGS: dict[str, dict[str, Any]] = {
    "xwanai": {"apiKeyHeader": "Authorization"},
    "hubspot": {
        "properties": {"favourite_tea": "customFields.favourite_tea", "tags": "tags"},
        "tagSeparator": ";",
        "requestsPerTenSeconds": 190,
    },
    "sheets": {
        "spreadsheetId": "1zH_Lindenhof-events-2026",
        "sheet": "Zoë's list",
        "columns": ["event", "data.user.email"],
        "requestsPerMinute": 30,
    },
}
_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)
CREDENTIALS: dict[str, str] = {
    "xwanai": "xw_live_0123456789",
    "hubspot": "pat-eu1-0123456789abcdef",
    "sheets": json.dumps(
        {
            "type": "service_account",
            "client_email": "crossdock@lindenhof.iam.gserviceaccount.com",
            "private_key": _KEY.decode(),
        }
    ),
}
