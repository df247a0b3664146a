"""Amazon: orders, feeds and reports of the Selling Partner API, over SNS or fetched from SQS.

Comes in: an SNS message signed by Amazon, whose Message is a notification or one that EventBridge wrapped; or, put
into the inbox by the poller of an SQS queue, such a notification itself. Comes out: one change of an order or a
report. Anybody with an AWS account can have SNS sign messages, so what makes one ours is its topic, which is signed
and must be one of the source's `topicArns`. Pure.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal

import orjson
from pydantic import Field, field_validator

from shared.clock import to_json
from shared.errors import PayloadUnexpected
from shared.payload import parse
from shared.providers import options, reading, selling_partner, sns
from shared.providers.contract import (
    JSON,
    Change,
    Evidence,
    Identity,
    Outcome,
    Provider,
    Refusal,
    Request,
    Sample,
    Source,
    no_tenant,
)

RAW_HEADER: Final = "x-amz-sns-rawdelivery"
# What the poller notes about a message, which is its own word: a header of a request that came in over HTTP is not.
SQS_ID_HEADER: Final = "x-crossdock-sqs-message-id"
TOLERANCE_SECONDS: Final = 3600.0  # SNS retries within an hour at most. Source: docs.aws.amazon.com/sns, read 2026-11.
TOLERANCE_MAX_SECONDS: Final = 86_400.0 * 7
TOPICS: Final = (*selling_partner.TOPICS, *sns.CONFIRMATIONS)


class SqsOptions(options.Options):
    """Where the notifications wait; the keys to it are the credentials of the source's integrations."""

    queue_url: str = Field(min_length=1, max_length=2048)
    region: str = Field(pattern=r"^[a-z0-9-]{3,32}$")
    endpoint_url: str = Field("", max_length=2048)


class AmazonOptions(options.SourceOptions):
    """The settings of an Amazon source."""

    topic_arns: tuple[str, ...] = ()
    signature_versions: tuple[Literal["1", "2"], ...] = Field(("1", "2"), min_length=1)
    tolerance_seconds: float = Field(TOLERANCE_SECONDS, gt=0, le=TOLERANCE_MAX_SECONDS)
    sqs: SqsOptions | None = None

    @field_validator("topic_arns")
    @classmethod
    def _are_arns(cls, arns: tuple[str, ...]) -> tuple[str, ...]:
        if any(sns.region_of(arn) is None for arn in arns):
            raise ValueError("each is the whole ARN of an SNS topic, arn:aws:sns:<region>:<account>:<name>")
        return arns


def verify(request: Request, source: Source, evidence: Evidence) -> Refusal | None:
    """RSA over the envelope's canonical string, with SHA-1 (version 1) or SHA-256 (version 2), for an allowed topic.

    Source: docs.aws.amazon.com/sns, "Verifying the signatures of Amazon SNS messages", read 2026-11.
    """
    if RAW_HEADER in request.headers:
        return Refusal("signature_missing", "Raw message delivery carries no signature; switch it off in SNS.")
    chosen = options.read(AmazonOptions, source.settings)
    if chosen is None:
        return Refusal("source_misconfigured", "The source's settings do not hold together.", status=503)
    envelope = sns.read(request.body)
    if isinstance(envelope, Refusal):
        return envelope
    if envelope.topic_arn not in chosen.topic_arns:
        return Refusal("tenant_unknown", "The message's SNS topic is not one of the source's topicArns.")
    return sns.check(envelope, evidence, versions=chosen.signature_versions, tolerance_seconds=chosen.tolerance_seconds)


def identify(request: Request, source: Source, payload: JSON) -> Identity:
    """What the envelope, or the notification in it, says.

    The notification's own id makes a repeat a repeat, however it came: the same one over SNS and SQS is one message.

    Raises:
        PayloadUnexpected: it is neither a message of SNS nor a notification.
    """
    del source
    body = reading.as_object(payload, "the body")
    kind = body.get("Type")
    if kind in sns.CONFIRMATIONS:
        message_id = reading.text(body, "MessageId")
        return Identity(kind, _key("sns", message_id), message_id, "", reading.optional_instant(body, "Timestamp"))
    notification = selling_partner.find(_inner(body))
    delivery_id = notification.id if notification else None
    key = _key("notification", delivery_id) if delivery_id else b""
    if not key:
        delivery_id = reading.optional_text(body, "MessageId") or request.headers.get(SQS_ID_HEADER)
        key = _key("sns", delivery_id) if delivery_id else reading.unique_key(None, request.body)
    return Identity(
        topic=notification.type if notification else kind if isinstance(kind, str) and kind else "unknown",
        key=key,
        delivery_id=delivery_id,
        tenant=notification.seller if notification else "",
        occurred_at=notification.at if notification else reading.optional_instant(body, "Timestamp"),
    )


def transform(identity: Identity, payload: JSON, source: Source) -> Outcome:
    """The order or the report as it is now, or what SNS asks for.

    Raises:
        PayloadUnexpected: the notification does not have its documented shape.
    """
    del source
    body = reading.as_object(payload, "the body")
    if identity.topic in sns.CONFIRMATIONS:
        return _confirmation(identity, body)
    notification = selling_partner.find(_inner(body))
    if notification is None:
        return Outcome(ignored="the message is no notification of the Selling Partner API")
    return selling_partner.meaning(notification)


def _confirmation(identity: Identity, body: Mapping[str, Any]) -> Outcome:
    """SNS asks whether to post here, or tells that it will no more; a worker answers, and an operator is told."""
    kind = "confirmation" if identity.topic == sns.SUBSCRIPTION else "disconnection"
    return Outcome(changes=(Change(kind, "upsert", reading.text(body, "TopicArn"), identity.occurred_at),))


def _inner(body: Mapping[str, Any]) -> JSON:
    """What is in an SNS message, where the body is one; a plain text, as a person may publish it, is `None`."""
    if body.get("Type") != sns.NOTIFICATION or "Message" not in body:
        return body
    message = reading.optional_text(body, "Message") or ""
    value, problem = parse(message.encode("utf-8", "surrogatepass"), "Message")
    if problem is not None and message.startswith("{"):  # "[ALARM] queue is long" is what a person publishes
        raise PayloadUnexpected(problem)
    return value


def _key(*parts: str) -> bytes:
    return "\n".join(parts).encode("utf-8", "surrogateescape")


def check_settings(settings: Mapping[str, JSON]) -> list[str]:
    """What is wrong with a source's settings."""
    found = options.problems(AmazonOptions, settings)
    chosen = options.read(AmazonOptions, settings)
    if chosen is not None and not chosen.topic_arns and chosen.sqs is None:
        found.append("topicArns: name the SNS topics that may post here, or a queue in sqs")
    return found


def envelope(sample: Sample) -> bytes:
    """The SNS message that a sample travels in, signed; the sample's secret is the private key, as PEM."""
    chosen = options.read(AmazonOptions, sample.settings) or AmazonOptions()
    topic_arn = next(iter(chosen.topic_arns), "arn:aws:sns:us-east-1:000000000000:simulated")
    fields: dict[str, Any] = {
        "Type": sns.NOTIFICATION,
        "MessageId": sample.delivery_id,
        "TopicArn": topic_arn,
        "Message": sample.body.decode("utf-8", "replace"),
        "Timestamp": to_json(sample.now),
    }
    if sample.topic in sns.CONFIRMATIONS:
        fields |= orjson.loads(sample.body) | {"TopicArn": topic_arn, "Timestamp": to_json(sample.now)}
    return orjson.dumps(sns.sign(fields, sample.secret, chosen.signature_versions[-1]))


def sign(sample: Sample) -> list[tuple[str, str]]:
    """The headers of a genuine delivery; none of them is signed, and none is believed."""
    chosen = options.read(AmazonOptions, sample.settings) or AmazonOptions()
    kind = sample.topic if sample.topic in sns.CONFIRMATIONS else sns.NOTIFICATION
    return [
        ("Content-Type", "text/plain; charset=UTF-8"),
        ("x-amz-sns-message-type", kind),
        ("x-amz-sns-message-id", sample.delivery_id),
        ("x-amz-sns-topic-arn", next(iter(chosen.topic_arns), "")),
    ]


AMAZON = Provider(
    name="amazon",
    title="Amazon",
    verify=verify,
    route=no_tenant,  # the seller stands in the body: all of a source is in one order
    identify=identify,
    transform=transform,
    topics=TOPICS,
    sign=sign,
    envelope=envelope,
    check_settings=check_settings,
)
