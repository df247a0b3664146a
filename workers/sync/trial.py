"""The webhook test: a signed webhook goes the whole way to our public address, as the provider would send it.

Comes in: a source and its newest secret. Left behind: a message that means nothing, marked `ignored`. Repeating it
leaves another one.
"""

import time
from collections.abc import Mapping
from typing import Final

import orjson

from shared.ids import new_id
from shared.providers.contract import Sample
from shared.providers.registry import PROVIDERS
from workers.sync.job import Done, Job
from workers.sync.upstream import UpstreamFailed

# provider -> a topic that it never sends, so that no record comes of it
TOPICS: Final[Mapping[str, str]] = {"shopify": "crossdock/test"}
BODY: Final = b'{"crossdock":"test"}'


def can_be_tried(job: Job) -> bool:
    """Whether there is a test for the job's provider."""
    return job.source["provider"] in TOPICS and bool(job.secrets)


def try_out(job: Job) -> Done:
    """What our public address answered: `{"message_id", "address", "duration_ms"}`.

    Raises:
        UpstreamFailed: it refused the webhook, or could not be reached from here.
    """
    if not can_be_tried(job):
        raise UpstreamFailed("no_trial", "There is no webhook test for this provider.", is_final=True)
    provider, address = job.source["provider"], job.address
    sample = Sample(
        topic=TOPICS[provider],
        body=BODY,
        secret=job.secrets[0],
        tenant=job.tenant,
        delivery_id=str(new_id()),
        now=job.now,
        url=address,
        settings=job.source["settings"],
    )
    began = time.monotonic()
    headers = {"Content-Type": "application/json", **dict(PROVIDERS[provider].sign(sample))}
    reply = job.upstream.call("trial", "POST", address, headers=headers, body=BODY)
    try:
        message_id = orjson.loads(reply.body)["id"]
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise UpstreamFailed(
            "not_ours", "Something else than Crossdock's ingress answers at the public address", is_final=True
        ) from error
    duration_ms = round((time.monotonic() - began) * 1000)
    return Done({"message_id": message_id, "address": address, "duration_ms": duration_ms})
