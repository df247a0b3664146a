"""Providers that a person registers us with: the very values to enter in their consoles.

Comes in: the source. Comes out: a line a topic. Nothing is left behind, here or there.

Source: developer-docs.amazon.com, SP-API Notifications; Flipkart's seller API, "Notification service"; read 2026-11.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from shared.providers import options
from shared.providers.amazon import AmazonOptions
from shared.providers.flipkart import FLIPKART
from shared.providers.flipkart.proof import FlipkartOptions
from shared.providers.registry import PROVIDERS
from shared.registrations import Found, RegistrationState
from workers.sync.job import Job

# SP-API's own account, which writes to sellers' queues.
AMAZON_PRINCIPAL: Final = "437568002678"
# notification type -> the version of its payload that we read
AMAZON_TOPICS: Final = {
    "ORDER_CHANGE": "1.0",
    "FEED_PROCESSING_FINISHED": "2020-09-04",
    "REPORT_PROCESSING_FINISHED": "2020-09-04",
}
FLIPKART_TOPICS: Final = ("shipment_*", "return_*")
FLIPKART_MAIL: Final = "seller-api-queries@flipkart.com"


def reconcile(job: Job, known: Sequence[Mapping[str, Any]]) -> list[Found]:
    """What to enter there for each topic."""
    del known
    return _BY_PROVIDER.get(job.source["provider"], _elsewhere)(job)


def _amazon(job: Job) -> list[Found]:
    chosen = options.read(AmazonOptions, job.source["settings"]) or AmazonOptions()
    if chosen.sqs is not None:
        queue = chosen.sqs.queue_url
        return [
            Found(topic, RegistrationState.BY_HAND, address=queue, note=_queue(queue, topic, version, job.tenant))
            for topic, version in AMAZON_TOPICS.items()
        ]
    address, arns, versions = job.address, chosen.topic_arns, chosen.signature_versions
    topic = f"on the topic {' or '.join(arns)}" if arns else "on your topic, whose ARN goes into the source's topicArns"
    signed = f", the topic's attribute SignatureVersion {versions[0]}" if len(set(versions)) == 1 else ""
    note = (
        f"In AWS SNS, {topic}: Create subscription, protocol HTTPS, endpoint {address}, raw message delivery "
        f"off{signed}. SP-API itself writes to SQS or EventBridge, from where yours passes it on; or name the queue in "
        "the source's settings, and it is fetched from there."
    )
    return [Found(topic, RegistrationState.BY_HAND, address=address, note=note) for topic in AMAZON_TOPICS]


def _queue(queue: str, topic: str, version: str, seller: str) -> str:
    destination = {"name": "crossdock", "resourceSpecification": {"sqs": {"arn": _arn(queue)}}}
    subscription = {"payloadVersion": version, "destinationId": "<as just answered>"}
    return (
        f"On the queue let principal {AMAZON_PRINCIPAL} do sqs:SendMessage and sqs:GetQueueAttributes. In the SP-API, "
        f"once for the queue: POST /notifications/v1/destinations {orjson.dumps(destination).decode()}; as seller "
        f"{seller}: POST /notifications/v1/subscriptions/{topic} {orjson.dumps(subscription).decode()}"
    )


def _arn(queue: str) -> str:
    """The queue's ARN, from a URL such as `https://sqs.eu-west-1.amazonaws.com/111122223333/notifications`."""
    parts = urlsplit(queue)
    region = (parts.hostname or "").removeprefix("sqs.").partition(".")[0]
    account, _, name = parts.path.strip("/").partition("/")
    return f"arn:aws:sqs:{region}:{account}:{name}"


def _flipkart(job: Job) -> list[Found]:
    chosen = options.read(FlipkartOptions, job.source["settings"])
    if chosen is None or chosen.verification != "fklogin":  # Flipkart itself has no other: it is a middleman of theirs
        return _elsewhere(job)
    address = chosen.url or job.address
    note = (
        f"By e-mail to {FLIPKART_MAIL}: seller id {job.tenant}, receiver URL {address}, these events, your location "
        f"ids and a VAPT certificate. {FLIPKART.in_words(job.source['settings'])}"
    )
    return [Found(topic, RegistrationState.BY_HAND, address=address, note=note) for topic in FLIPKART_TOPICS]


def _elsewhere(job: Job) -> list[Found]:
    address, provider = job.address, PROVIDERS[job.source["provider"]]
    there = f"{' or '.join(provider.methods)} to {address}"
    if provider.subpaths:
        there += ", behind which come paths of their own"
    note = f"In the provider's console: {there}. {provider.in_words(job.source['settings'])}"
    return [Found("*", RegistrationState.BY_HAND, address=address, note=note)]


_BY_PROVIDER: Final[Mapping[str, Callable[[Job], list[Found]]]] = {"amazon": _amazon, "flipkart": _flipkart}
