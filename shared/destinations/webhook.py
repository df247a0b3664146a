"""The webhook: a signed JSON POST to a URL, as Standard Webhooks describes it, with the CRM guide's header beside.

Comes in: a parcel or an answer. Comes out: a request or a judgement. Pure; nothing is left behind.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from shared.destinations.contract import Answer, Destination, Judgement, Outgoing, Parcel, Verdict
from shared.destinations.replies import USER_AGENT, retry_after
from shared.signing import hex_signature, standard_signatures

TOO_MANY_REQUESTS = 429
SERVICE_UNAVAILABLE = 503
GONE = 410


def build(parcel: Parcel, now: datetime) -> Outgoing:
    """The request of one attempt: the body byte for byte as stored, id stable, timestamp and signatures fresh."""
    timestamp = int(now.timestamp())
    body = parcel.body
    return Outgoing(
        method="POST",
        url=parcel.url,
        headers=(
            ("Content-Type", "application/json"),
            ("User-Agent", USER_AGENT),
            ("webhook-id", parcel.event_id),
            ("webhook-timestamp", str(timestamp)),
            (
                "webhook-signature",
                standard_signatures(parcel.secrets, message_id=parcel.event_id, timestamp=timestamp, body=body),
            ),
            ("X-Webhook-Signature", hex_signature(parcel.secrets[0], body)),
            ("X-Webhook-Event", parcel.event_type),
            ("X-Webhook-Delivery", parcel.delivery_id),
            ("X-Webhook-Attempt", str(parcel.attempt_number)),
        ),
        body=body,
    )


def judge(answer: Answer, now: datetime) -> Judgement:
    """What an answer comes to: 2xx is delivered and nothing else is; 410 is gone; all else may be tried again."""
    status = answer.status
    if status is None:
        return Judgement(Verdict.AGAIN, answer.error_code or "connection_failed")
    if 200 <= status < 300:  # noqa: PLR2004  # the class itself
        return Judgement(Verdict.DELIVERED)
    if status == GONE:
        return Judgement(Verdict.GONE, "http_410")
    wait = retry_after(answer.headers, now) if status in (TOO_MANY_REQUESTS, SERVICE_UNAVAILABLE) else None
    return Judgement(Verdict.AGAIN, f"http_{status}", wait)


def check_settings(settings: Mapping[str, Any]) -> list[str]:
    """Problems with a subscription's own settings: a webhook has none to set."""
    return [f"{name}: a webhook has no such setting" for name in settings]


WEBHOOK = Destination(name="webhook", title="Webhook", build=build, judge=judge, check_settings=check_settings)
