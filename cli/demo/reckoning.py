"""The reckoning: whether the sums are right. Pure: the plan, what was sent, what the CRM saw and the database's facts.

Every check compares two accounts that were kept apart; one acknowledged webhook that is nowhere fails the demo.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from cli.demo.crm import Desk
from cli.demo.facts import Facts
from cli.demo.plan import Plan
from cli.demo.send import Sent
from cli.demo.stage import Cast
from cli.demo.step import Fate
from shared.events import matches
from shared.states import DeliveryState

SHOWN = 5  # of what is wrong


@dataclass(frozen=True, slots=True)
class Check:
    """One claim, and what speaks against it."""

    claim: str
    against: list[str]

    @property
    def holds(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.against


def reckon(plan: Plan, cast: Cast, sent: Sent, desks: Mapping[str, Desk], facts: Facts) -> list[Check]:
    """Every check, in the order of a webhook's way."""
    return [
        Check("every webhook was answered as its signature deserves", sent.surprises[:SHOWN]),
        _accounted(plan, sent, facts),
        _fates(plan, sent, facts),
        _events(plan, cast, facts),
        _records(plan, facts),
        _owed(cast, facts),
        _ended(facts),
        _verified(cast, desks, facts),
        Check(
            "every request that the CRM got carried two good signatures",
            [f"{desk.name}: {why}" for desk in desks.values() for why in desk.refused][:SHOWN],
        ),
        Check(
            "every attempt that was recorded reached the CRM, and the other way round",
            _differ("attempts", sum(desk.requests for desk in desks.values()), facts.attempts),
        ),
        _disabled(cast, facts),
    ]


def _accounted(plan: Plan, sent: Sent, facts: Facts) -> Check:
    accepted, kept = set(sent.accepted), set(facts.messages)
    against = [f"acknowledged and nowhere: {one}" for one in sorted(accepted - kept)]
    against += [f"there and never acknowledged: {one}" for one in sorted(kept - accepted)]
    against += _differ("requests", plan.webhooks, len(accepted) + sent.refused.total())
    return Check("every acknowledged webhook is accounted for, once", against[:SHOWN])


def _fates(plan: Plan, sent: Sent, facts: Facts) -> Check:
    planned = Counter({(provider, str(fate)): count for (provider, fate), count in plan.fates().items()})
    found = Counter(
        (step.provider, facts.messages[message_id])
        for message_id, step in sent.accepted.items()
        if message_id in facts.messages
    )
    found += Counter({(provider, str(Fate.REFUSED)): count for provider, count in sent.refused.items()})
    against = [
        f"{provider} {state}: {planned[provider, state]} planned, {found[provider, state]} found"
        for provider, state in sorted({*found, *planned})
        if found[provider, state] != planned[provider, state]
    ]
    for message_id, step in sent.accepted.items():
        state = facts.messages.get(message_id)
        if step.at_once == 1 and state not in (None, step.fate):
            against.append(f"{step.provider} {step.topic} of number {step.number}: {step.fate} planned, {state} found")
    return Check("each is processed, ignored, stale, a repeat or refused, as planned of its provider", against[:SHOWN])


def _events(plan: Plan, cast: Cast, facts: Facts) -> Check:
    provider_of = {account_id: provider for provider, account_id in cast.accounts.items()}
    wanted = plan.events()
    found = Counter((provider_of[event.account_id], event.type) for event in facts.events)
    against = [
        f"{provider} {kind}: {wanted[provider, kind]} planned, {found[provider, kind]} made"
        for provider, kind in wanted
        if wanted[provider, kind] != found[provider, kind]
    ]
    kinds = {kind for _, kind in wanted}
    causes = Counter((event.message_id, event.type, event.subject_id) for event in facts.events if event.message_id)
    against += [
        f"message {message} made {count} events {kind}"
        for (message, kind, _), count in causes.items()
        if count > 1 and kind in kinds
    ]
    return Check("each change made its events, and no message was applied twice", against[:SHOWN])


def _records(plan: Plan, facts: Facts) -> Check:
    wanted, found = plan.survivors(), facts.records
    against = [
        f"{' '.join(record)}: {mark or 'deleted'} planned, {found.get(record, 'nothing')} found"
        for record, mark in wanted.items()
        if record not in found or found[record] != mark
    ]
    against += [f"{' '.join(record)} is there and was never told of" for record in found.keys() - wanted.keys()]
    return Check("every record is as the newest webhook says, whatever order they came in", against[:SHOWN])


def _owed(cast: Cast, facts: Facts) -> Check:
    owner = {name: cast.accounts[provider] for name, provider in cast.providers.items()}
    owed = {
        (event.id, cast.subscriptions[name])
        for event in facts.events
        for name, patterns in cast.events.items()
        if event.account_id == owner[name] and matches(patterns, event.type)
    }
    made = {(delivery.event_id, delivery.subscription_id) for delivery in facts.deliveries}
    against = [f"event {event} was not fanned out to {subscription}" for event, subscription in sorted(owed - made)]
    against += [f"event {event} was fanned out to {subscription} without cause" for event, subscription in made - owed]
    return Check("every event is owed to every subscription that wants it, and to no other", against[:SHOWN])


def _ended(facts: Facts) -> Check:
    resting = {DeliveryState.DELIVERED, DeliveryState.HELD}
    against = [
        f"event {delivery.event_id} for {delivery.subscription_id} is {delivery.state}"
        for delivery in facts.deliveries
        if delivery.state not in resting and not (delivery.state == DeliveryState.DEAD and delivery.last_error)
    ]
    return Check("every delivery is delivered, held, or dead with a reason", against[:SHOWN])


def _verified(cast: Cast, desks: Mapping[str, Desk], facts: Facts) -> Check:
    against = []
    for name, subscription in cast.subscriptions.items():
        delivered = _delivered(facts, subscription)
        taken = set(desks[name].accepted)
        against += [f"{name}: event {event} is delivered and was not taken" for event in sorted(delivered - taken)]
        against += [f"{name}: event {event} was taken and is not delivered" for event in sorted(taken - delivered)]
        against += [f"{name}: event {event} came {n} times" for event, n in desks[name].accepted.items() if n > 1]
    return Check("every delivery was verified and taken by the CRM, once", against[:SHOWN])


def _disabled(cast: Cast, facts: Facts) -> Check:
    dead = cast.subscriptions["shop-legacy"]
    wrong = facts.disabled ^ ({dead} if any(one.subscription_id == dead for one in facts.deliveries) else set())
    return Check(
        "the subscription that is out of order was disabled, and no other",
        [f"{subscription} is {'disabled' if subscription in facts.disabled else 'enabled'}" for subscription in wrong],
    )


def _delivered(facts: Facts, subscription: UUID) -> set[str]:
    return {
        delivery.event_id
        for delivery in facts.deliveries
        if delivery.subscription_id == subscription and delivery.state == DeliveryState.DELIVERED
    }


def _differ(what: str, wanted: int, found: int) -> list[str]:
    return [] if wanted == found else [f"{what}: {wanted} and {found}"]
