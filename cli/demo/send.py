"""The providers' part: signs the plan's webhooks and posts them, stories at once, each story's in order.

Left behind: what the ingress answered to each. Nothing is sent twice but what the plan says.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from uuid import uuid4

import aiohttp
import orjson

from cli.acting import call
from cli.demo.plan import Plan
from cli.demo.stage import Cast
from cli.demo.step import Fate, Step, Story
from shared.clock import utc_now
from shared.providers.contract import Sample
from shared.providers.registry import PROVIDERS

IN_FLIGHT = 16


@dataclass
class Sent:
    """What became of the sending; grows while it goes on."""

    total: int
    posted: int = 0
    by_provider: Counter[str] = field(default_factory=Counter)  # of those posted
    accepted: dict[str, Step] = field(default_factory=dict)  # by the message id of the answer
    refused: Counter[str] = field(default_factory=Counter)  # by provider
    surprises: list[str] = field(default_factory=list)  # answers that the plan does not expect


async def send(plan: Plan, cast: Cast, ingress: str, sent: Sent) -> None:
    """Post the whole plan."""
    places = asyncio.Semaphore(IN_FLIGHT)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:

        async def tell(story: Story) -> None:
            async with places:
                for step in story:
                    await asyncio.gather(*(_post(session, cast, ingress, step, sent) for _ in range(step.at_once)))

        await asyncio.gather(*(tell(story) for story in plan.stories))


async def _post(session: aiohttp.ClientSession, cast: Cast, ingress: str, step: Step, sent: Sent) -> None:
    provider, path = PROVIDERS[step.provider], f"/api/webhooks/{cast.paths[step.provider]}"
    signs_inside = provider.envelope is not None
    sample = Sample(
        topic=step.topic,
        body=step.body,
        secret=b"not the secret" if step.forged and not signs_inside else cast.secrets[step.provider],
        tenant=step.tenant,
        delivery_id=step.delivery_id,
        # Shopify says when it happened, unsigned and unlimited; the others sign the time of sending.
        now=step.at if step.provider == "shopify" else utc_now(),
        url=f"{cast.public_url}{path}",
        settings=cast.settings[step.provider],
    )
    made = call(provider, sample, f"{ingress}{path}")
    if step.forged and signs_inside:  # with another key it would name another certificate: it is changed afterwards
        made = replace(made, body=made.body.replace(step.delivery_id.encode(), str(uuid4()).encode()))
    try:
        async with session.request(made.method, made.url, data=made.body, headers=made.headers) as answer:
            text = await answer.read()
    except aiohttp.ClientError as error:
        sent.surprises.append(f"{step.provider} {step.topic}: {error!r}")
        return
    finally:
        sent.posted += 1
        sent.by_provider[step.provider] += 1
    if answer.status == HTTPStatus.OK:
        sent.accepted[orjson.loads(text)["id"]] = step
    elif answer.status == HTTPStatus.UNAUTHORIZED:
        sent.refused[step.provider] += 1
    if (answer.status == HTTPStatus.UNAUTHORIZED) is not (step.fate is Fate.REFUSED):
        sent.surprises.append(f"{step.provider} {step.topic}: {answer.status} {text[:200]!r}")
