"""The demo's parts: a plan that adds up, a CRM that refuses nonsense, and a reckoning that notices what is missing."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import pytest

from cli.demo import plan, reckoning, stage
from cli.demo.crm import Crm, Desk
from cli.demo.facts import Delivery, Event, Facts
from cli.demo.send import Sent
from cli.demo.stage import OWNERS, Cast
from cli.demo.step import Fate, Record, Step
from shared.clock import utc_now
from shared.destinations.contract import Outgoing, Parcel
from shared.destinations.registry import DESTINATIONS
from shared.signing import new_secret
from shared.states import DeliveryState

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)
SECRET = new_secret()
DESKS = {"orders-crm": "amazon", "parcels-crm": "flipkart", "works-crm": "robaws"}


@pytest.mark.parametrize("count", [1, 7, 100, 601])
def test_a_plan_has_exactly_as_many_webhooks_as_were_asked_for(count: int) -> None:
    made = plan.make(count, now=NOW)
    assert made.webhooks == count
    assert made.fates().total() == count


def test_a_plan_has_every_fate_and_the_events_of_every_provider() -> None:
    made = plan.make(200, now=NOW)
    fates = {fate for _, fate in made.fates()}
    assert fates == set(Fate)
    assert {provider for provider, fate in made.fates() if fate is Fate.REFUSED} == {
        "shopify",
        "amazon",
        "flipkart",
        "robaws",
    }
    assert set(made.events()) == {
        ("shopify", "user.created"),
        ("shopify", "user.updated"),
        ("shopify", "user.deleted"),
        ("robaws", "user.created"),
        ("robaws", "user.updated"),
        ("amazon", "order.created"),
        ("amazon", "order.updated"),
        ("amazon", "order.fulfilled"),
        ("amazon", "feed.finished"),
        ("amazon", "report.finished"),
        ("flipkart", "order.created"),
        ("flipkart", "order.updated"),
        ("flipkart", "order.fulfilled"),
        ("flipkart", "shipment.created"),
        ("flipkart", "shipment.updated"),
        ("flipkart", "shipment.delivered"),
    }
    assert set(made.providers) == {owner.provider for owner in OWNERS}


def test_a_step_that_is_not_applied_changes_and_causes_nothing() -> None:
    idle = [step for step in plan.make(300, now=NOW).steps if step.fate is not Fate.PROCESSED]
    assert idle
    assert all(not step.events and not step.leaves for step in idle)


def test_only_repeats_share_a_delivery_id() -> None:
    made = plan.make(300, now=NOW)
    by_id: dict[str, list[Step]] = {}
    for step in made.steps:
        by_id.setdefault(step.delivery_id, []).append(step)
    assert all([step.fate for step in rest] == [Fate.DUPLICATE] * len(rest) for _, *rest in by_id.values())


def _request(secret: str = SECRET, event_id: str | None = None, attempt: int = 2, body: bytes = b"{}") -> Outgoing:
    parcel = Parcel(
        event_id=event_id or str(uuid4()),
        event_type="user.created",
        body=body,
        delivery_id=str(uuid4()),
        attempt_number=attempt,
        url="http://127.0.0.1/desk",
        secrets=(secret,),
    )
    return DESTINATIONS["webhook"].build(parcel, utc_now())


def _post(desk: Desk, *requests: Outgoing, spoil: Callable[[dict[str, str]], object] = lambda _: None) -> list[int]:
    async def talk() -> list[int]:
        crm = Crm([desk])
        await crm.start()
        try:
            async with aiohttp.ClientSession() as session:
                statuses = []
                for request in requests:
                    headers = dict(request.headers)
                    spoil(headers)
                    async with session.post(crm.url(desk.name), data=request.body, headers=headers) as answer:
                        statuses.append(answer.status)
                return statuses
        finally:
            await crm.stop()

    return asyncio.run(talk())


def test_the_crm_takes_what_is_signed() -> None:
    desk = Desk("desk", secret=SECRET)
    request = _request()
    assert _post(desk, request) == [200]
    assert desk.accepted == Counter({dict(request.headers)["webhook-id"]: 1})


@pytest.mark.parametrize(
    "spoil",
    [
        lambda headers: headers.pop("webhook-signature"),
        lambda headers: headers.update({"webhook-id": "another"}),
        lambda headers: headers.update({"webhook-timestamp": "1700000000"}),
        lambda headers: headers.update({"X-Webhook-Signature": "0" * 64}),
        lambda headers: headers.update({"Content-Type": "text/plain"}),
    ],
    ids=["unsigned", "other id", "stale", "wrong hex", "content type"],
)
def test_the_crm_refuses_what_it_cannot_believe(spoil: Callable[[dict[str, str]], object]) -> None:
    desk = Desk("desk", secret=SECRET)
    assert _post(desk, _request(), spoil=spoil) == [401]
    assert desk.accepted.total() == 0
    assert len(desk.refused) == 1


def test_the_crm_refuses_another_secret_and_a_body_that_changed_between_attempts() -> None:
    desk = Desk("desk", secret=SECRET)
    foreign, once, changed = _request(new_secret()), _request(event_id="one"), _request(event_id="one", body=b"[]")
    assert _post(desk, foreign, once, changed) == [401, 200, 401]


def test_the_crm_fails_every_tenth_first_attempt_and_a_dead_one_all() -> None:
    desk = Desk("desk", secret=SECRET, fails_every=10)
    first = [_request(attempt=1) for _ in range(20)]
    assert _post(desk, *first).count(500) == 2
    assert _post(Desk("desk", secret=SECRET, dead=True), _request(), _request()) == [500, 500]


class World:
    """A demo that went well, to be spoilt."""

    def __init__(self) -> None:
        self.plan = plan.make(100, now=NOW)
        accounts = {owner.provider: uuid4() for owner in OWNERS}
        names = {desk.name: desk for desk in stage.desks()}
        self.desks = names
        self.cast = Cast(
            key="",
            accounts=accounts,
            paths={},
            secrets={},
            settings={},
            public_url="",
            subscriptions={name: uuid4() for name in names},
            events={
                "shop-crm": ["*"],
                "shop-archive": ["user.created"],
                "shop-legacy": ["user.*"],
                "orders-crm": ["*"],
                "parcels-crm": ["*"],
                "works-crm": ["user.*"],
            },
            providers={name: DESKS.get(name, "shopify") for name in names},
        )
        self.sent = Sent(total=100)
        messages: dict[str, str] = {}
        self.events: list[Event] = []
        self.deliveries: list[Delivery] = []
        for step in self.plan.steps:
            for turn in range(step.at_once):
                if step.fate is Fate.REFUSED:
                    self.sent.refused[step.provider] += 1
                    continue
                message = str(uuid4())
                self.sent.accepted[message] = step
                messages[message] = step.fate if turn == 0 else Fate.DUPLICATE
                for event in step.events if turn == 0 else ():
                    self._happened(accounts[step.provider], event, UUID(message))
        records = self.plan.survivors()
        attempts = sum(desk.requests for desk in names.values())
        disabled = {self.cast.subscriptions["shop-legacy"]}
        self.facts = Facts(messages, self.events, self.deliveries, attempts, records, disabled)

    def _happened(self, account: UUID, kind: str, message: UUID) -> None:
        event = Event(str(uuid4()), account, kind, message, uuid4())
        self.events.append(event)
        for name, patterns in self.cast.events.items():
            owner = self.cast.accounts[self.cast.providers[name]]
            if owner == account and ("*" in patterns or "user.*" in patterns or kind in patterns):
                dead = self.desks[name].dead
                state = DeliveryState.HELD if dead else DeliveryState.DELIVERED
                self.deliveries.append(Delivery(event.id, self.cast.subscriptions[name], state, 1, None, NOW, NOW))
                self.desks[name].requests += 1
                if not dead:
                    self.desks[name].accepted[event.id] += 1

    def failing(self, **changes: Any) -> list[str]:
        facts = replace(self.facts, **changes)
        return [
            check.claim
            for check in reckoning.reckon(self.plan, self.cast, self.sent, self.desks, facts)
            if not check.holds
        ]


@pytest.fixture
def world() -> World:
    return World()


def test_a_demo_that_went_well_adds_up(world: World) -> None:
    assert world.failing() == []


def test_one_acknowledged_webhook_that_is_nowhere_is_noticed(world: World) -> None:
    messages = dict(world.facts.messages)
    lost = next(one for one, step in world.sent.accepted.items() if step.fate is Fate.STALE)
    del messages[lost]
    assert "every acknowledged webhook is accounted for, once" in world.failing(messages=messages)


def test_a_change_that_was_applied_twice_is_noticed(world: World) -> None:
    twice = [*world.events, replace(world.events[0], id=str(uuid4()))]
    assert "each change made its events, and no message was applied twice" in world.failing(events=twice)


def test_an_event_that_was_not_fanned_out_is_noticed(world: World) -> None:
    assert "every event is owed to every subscription that wants it, and to no other" in world.failing(
        deliveries=world.deliveries[1:]
    )


def test_a_delivery_that_the_crm_never_took_is_noticed(world: World) -> None:
    world.desks["works-crm"].accepted.popitem()
    assert world.failing() == ["every delivery was verified and taken by the CRM, once"]


def test_a_delivery_that_is_still_on_its_way_is_noticed(world: World) -> None:
    stuck = [replace(world.deliveries[0], state=DeliveryState.LEASED), *world.deliveries[1:]]
    assert "every delivery is delivered, held, or dead with a reason" in world.failing(deliveries=stuck)


def test_a_dead_delivery_needs_a_reason(world: World) -> None:
    given_up = DeliveryState.DEAD
    dead = [replace(one, state=given_up) if one.state == DeliveryState.HELD else one for one in world.deliveries]
    assert world.failing(deliveries=dead) == ["every delivery is delivered, held, or dead with a reason"]
    assert world.failing(deliveries=[replace(one, last_error="http_500") for one in dead]) == []


@pytest.mark.parametrize("provider", [owner.provider for owner in OWNERS])
def test_a_record_that_an_older_webhook_overwrote_or_nobody_told_of_is_noticed(world: World, provider: str) -> None:
    claim = "every record is as the newest webhook says, whatever order they came in"
    record = next(record for record, mark in world.facts.records.items() if record[0] == provider and mark)
    stranger: Record = (provider, "order", "nobody's")
    assert world.failing(records={**world.facts.records, record: "older"}) == [claim]
    assert world.failing(records={**world.facts.records, stranger: "open/"}) == [claim]


def test_a_refusal_or_a_fate_of_another_provider_is_noticed(world: World) -> None:
    world.sent.refused["amazon"] -= 1
    world.sent.refused["robaws"] += 1
    assert world.failing() == ["each is processed, ignored, stale, a repeat or refused, as planned of its provider"]


def test_an_unbelieved_request_and_a_wrongly_disabled_subscription_are_noticed(world: World) -> None:
    world.desks["shop-crm"].refused.append("not signed")
    assert world.failing(disabled=set()) == [
        "every request that the CRM got carried two good signatures",
        "the subscription that is out of order was disabled, and no other",
    ]
