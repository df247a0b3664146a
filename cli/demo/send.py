"""The provider's part: signs the plan's webhooks and posts them, customers at once, each customer's in order.

Left behind: what the ingress answered to each. Nothing is sent twice but what the plan says.
"""

import asyncio
from dataclasses import dataclass, field
from http import HTTPStatus

import aiohttp
import orjson

from cli.demo.plan import Fate, Plan, Step, Story
from cli.demo.stage import Cast
from shared.clock import utc_now
from shared.providers.contract import Sample
from shared.providers.registry import PROVIDERS

IN_FLIGHT = 16


@dataclass
class Sent:
    """What became of the sending; grows while it goes on."""

    total: int
    posted: int = 0
    accepted: dict[str, Step] = field(default_factory=dict)  # by the message id of the answer
    refused: int = 0
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
    provider = PROVIDERS[step.provider]
    url = f"{ingress}/api/webhooks/{cast.paths[step.provider]}"
    sample = Sample(
        topic=step.topic,
        body=step.body,
        secret=b"not the secret" if step.forged else cast.secrets[step.provider],
        tenant=step.tenant,
        delivery_id=step.delivery_id,
        # Shopify says when it happened, unsigned and unlimited; Robaws signs the time of sending.
        now=step.at if step.provider == "shopify" else utc_now(),
        url=url,
    )
    try:
        async with session.post(url, data=step.body, headers=provider.sign(sample)) as answer:
            text = await answer.read()
    except aiohttp.ClientError as error:
        sent.surprises.append(f"{step.provider} {step.topic}: {error!r}")
        return
    finally:
        sent.posted += 1
    if answer.status == HTTPStatus.OK:
        sent.accepted[orjson.loads(text)["id"]] = step
    elif answer.status == HTTPStatus.UNAUTHORIZED:
        sent.refused += 1
    if (answer.status == HTTPStatus.UNAUTHORIZED) is not (step.fate is Fate.REFUSED):
        sent.surprises.append(f"{step.provider} {step.topic}: {answer.status} {text[:200]!r}")
