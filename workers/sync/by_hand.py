"""Providers that a person registers us with: the very values to enter in their consoles.

Comes in: the source. Comes out: a line a topic. Nothing is left behind, here or there.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from shared.registrations import Found, RegistrationState
from workers.sync.job import Job

# provider -> (topics, what to enter; {address} is ours)
_STEPS: Final[Mapping[str, tuple[tuple[str, ...], str]]] = {
    "amazon": (
        ("ORDER_CHANGE", "FEED_PROCESSING_FINISHED", "REPORT_PROCESSING_FINISHED"),
        (
            "In AWS SNS, on your topic: Create subscription, protocol HTTPS, endpoint {address}, raw message delivery "
            "off. Enter the topic's ARN in the source's settings. In the SP-API Notifications API: createDestination "
            "with the SQS queue that feeds the topic, then createSubscription for this notification type."
        ),
    ),
    "flipkart": (
        ("shipment_*", "return_*"),
        (
            "By e-mail to Flipkart's seller API support, with your seller id, location ids and a VAPT certificate: "
            "the receiver's URL {address}, and these events. The application's secret is the source's secret."
        ),
    ),
}
_ELSEWHERE: Final = (("*",), "In the provider's console: POST to {address}, with the source's secret.")


def reconcile(job: Job, known: Sequence[Mapping[str, Any]]) -> list[Found]:
    """What to enter there for each topic."""
    del known
    topics, steps = _STEPS.get(job.source["provider"], _ELSEWHERE)
    address = job.address
    note = steps.format(address=address)
    return [Found(topic, RegistrationState.BY_HAND, address=address, note=note) for topic in topics]
