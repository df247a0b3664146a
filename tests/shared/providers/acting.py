"""Acting as a provider: genuine requests made with the provider's own `sign`."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from shared.providers import samples
from shared.providers.contract import Evidence, Headers, Identity, Outcome, Provider, Refusal, Request, Sample, Source
from shared.providers.registry import PROVIDERS
from tests.doubles import sns

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
SECRET = b"whsec_" + b"Zm9yIHRlc3RzIG9ubHksIDI0IGJ5dGVz"
OTHER = b"whsec_" + b"YW5vdGhlciBzZWNyZXQgb2YgdGVzdHMu"

USER = samples.SETTINGS["generic"]["user"]
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    **{name: (name, samples.SETTINGS[name]) for name in PROVIDERS},
    # Its dates count for a day, unless a source says less.
    "flipkart": ("flipkart", {"toleranceSeconds": 3600}),
    "flipkart-hmac": ("flipkart", {"verification": "hmac"}),
    "selloship-hmac": ("selloship", {"verification": "hmac"}),
    "myntra-hmac": ("myntra", {"verification": "hmac"}),
    "manychat-header": ("manychat", {"scheme": {"header": "X-ManyChat-Token", "prefix": ""}}),
    "amazon-v1": ("amazon", samples.SETTINGS["amazon"] | {"signatureVersions": ["1"]}),
    **{f"generic-{preset}": ("generic", {"preset": preset, "user": USER}) for preset in ("svix", "stripe", "github")},
    "generic-slack": ("generic", {"preset": "slack", "topic": {"json": "type"}, "user": USER}),
    "generic-twilio": ("generic", {"preset": "twilio", "topic": {"json": "type"}, "user": USER}),
    **{
        f"generic-{preset}": (
            "generic",
            {
                "preset": preset,
                "topic": {"jmespath": "type"},
                "dedupe": {"jmespath": "id"},
                "occurredAt": {"json": "timestamp"},
                "user": USER,
            },
        )
        for preset in ("hubspot", "hubspot-v1", "hubspot-v2")
    },
    "generic-hmac": ("generic", {"preset": "hmac", "topic": {"json": "type"}, "user": USER}),
    "generic-sha512": (
        "generic",
        {
            "scheme": {
                "algorithm": "sha512",
                "encoding": "base64url",
                "header": "X-Sign",
                "prefix": "v7=",
                "timestamp": {"header": "X-At", "unit": "http-date", "tolerance_seconds": 60},
                "template": "{method}:{url}:{ts}:{body}:{header:X-Topic}",
            },
            "topic": {"header": "X-Topic"},
            "user": USER,
        },
    ),
}


@dataclass(frozen=True)
class Actor:
    """A provider, a source of it and a topic of it."""

    provider: Provider
    source: Source
    topic: str = ""

    def sample(self, *, number: int = 7, **more: Any) -> Sample:
        topic = more.pop("topic", self.topic)
        body = more.pop("body", None)
        given: dict[str, Any] = {
            "topic": topic,
            "body": samples.make(self.provider.name, topic, number=number, at=NOW) if body is None else body,
            "secret": SECRET,
            "tenant": "north.myshopify.com",
            "delivery_id": f"delivery-{number}",
            "now": NOW,
            "url": "https://hooks.example.com/api/webhooks/x",
            "settings": self.source.settings,
        }
        given |= more
        if self.signs_inside:
            given["secret"] = sns.private_key(given["secret"])
        sample = Sample(**given)
        return replace(sample, url=f"{sample.url}{self.provider.call(sample)[1]}")

    @property
    def signs_inside(self) -> bool:
        """Whether the signature stands in the body, made with a private key."""
        return self.provider.envelope is not None

    def request(self, sample: Sample, headers: list[tuple[str, str]] | None = None) -> Request:
        method, beneath = self.provider.call(sample)
        pairs, body = self.provider.post(sample)
        headers = pairs if headers is None else headers
        path = beneath.partition("?")[0]
        return Request(method, f"/api/webhooks/x{beneath}", Headers(headers), body, url=sample.url, beneath=path)

    @property
    def covers_the_body(self) -> bool:
        """Whether the proof depends on the body; a token's does not, nor FKLOGIN's."""
        request = self.request(self.sample())
        return self.signs_inside or self.verify(replace(request, body=b"{}")) is not None

    def verify(
        self, request: Request, *, now: datetime = NOW, secrets: tuple[bytes, ...] = (SECRET,)
    ) -> Refusal | None:
        return self.provider.verify(
            request, replace(self.source, secrets=secrets), Evidence(now, sns.certificates(secrets))
        )

    def understand(self, request: Request) -> tuple[Identity, Outcome]:
        payload = orjson.loads(request.body)
        identity = self.provider.identify(request, self.source, payload)
        return identity, self.provider.transform(identity, payload, self.source)


def actor(case: str) -> Actor:
    name, settings = CASES[case]
    return Actor(PROVIDERS[name], Source("source", name, (SECRET,), settings), samples.topics(name)[0])


def signature_header(actor: Actor, sample: Sample) -> str:
    """The name of the header that changes with the secret."""
    ours, other = actor.provider.sign(sample), actor.provider.sign(replace(sample, secret=OTHER))
    return next(name for (name, value), (_, changed) in zip(ours, other, strict=True) if value != changed)


def is_timed(actor: Actor, sample: Sample) -> bool:
    """Whether the signature holds for a while only."""
    if actor.signs_inside:
        return True
    header = signature_header(actor, sample)
    later = dict(actor.provider.sign(replace(sample, now=NOW + timedelta(days=1))))
    return later[header] != dict(actor.provider.sign(sample))[header]
