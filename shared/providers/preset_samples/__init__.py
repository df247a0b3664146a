"""What the senders of the presets post, a file a sender: for `crossdock simulate` and the tests.

Each has the bodies of its topics, and a mapping under which they mean something; with the preset alone they are kept
and ignored. Pure.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from shared.providers.contract import JSON
from shared.providers.form_body import Form
from shared.providers.preset_samples import contacts, github, hubspot, slack, stripe, twilio

Maker = Callable[[str, int, datetime], JSON | Form]

# preset -> topic -> what makes the body.
MAKERS: Final[Mapping[str, Mapping[str, Maker]]] = {
    "hmac": contacts.MAKERS,
    "standard-webhooks": contacts.MAKERS,
    "svix": contacts.MAKERS,
    "github": github.MAKERS,
    "stripe": stripe.MAKERS,
    "slack": slack.MAKERS,
    "hubspot": hubspot.MAKERS,
    "hubspot-v2": hubspot.MAKERS,
    "hubspot-v1": hubspot.MAKERS,
    "twilio": twilio.MAKERS,
}
# preset -> the settings of a source under which its samples mean something.
SETTINGS: Final[Mapping[str, dict[str, JSON]]] = {
    "hmac": {"preset": "hmac", "topic": {"json": "type"}, **contacts.MAPPING},
    "standard-webhooks": {"preset": "standard-webhooks", **contacts.MAPPING},
    "svix": {"preset": "svix", **contacts.MAPPING},
    "github": {"preset": "github", **github.MAPPING},
    "stripe": {"preset": "stripe", **stripe.MAPPING},
    "slack": {"preset": "slack", **slack.MAPPING},
    "hubspot": {"preset": "hubspot", **hubspot.MAPPING},
    "hubspot-v2": {"preset": "hubspot-v2", **hubspot.MAPPING},
    "hubspot-v1": {"preset": "hubspot-v1", **hubspot.MAPPING},
    "twilio": {"preset": "twilio", **twilio.MAPPING},
}
