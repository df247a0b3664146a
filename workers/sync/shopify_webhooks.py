"""A shop's webhook subscriptions brought to what we want: listed, added, mended and removed.

Comes in: what was known. Comes out: how each topic stands. Left behind at Shopify: one subscription a topic, at our
address; those of the same app at other addresses are left alone, unless we made them. A process that dies in the
middle leaves some topics undone, which the next look finds, and some done that nothing tells of: what was dropped is
known by its id, which is not listed any more, whoever has put the topic back.

Source: shopify.dev, webhookSubscriptions, read 2026-11.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from shared.providers.registry import PROVIDERS
from shared.registrations import Found, RegistrationState
from workers.sync.job import Job
from workers.sync.shopify_api import ShopifyApi
from workers.sync.upstream import UpstreamFailed

# Told to us whatever else is wanted: the sync and the state of the integration stand on them.
ALWAYS: Final = ("app/uninstalled", "products/create", "products/update", "products/delete")
# Source: shopify.dev, privacy law compliance: set in the app's own settings and not over the API.
BY_HAND: Final = ("customers/data_request", "customers/redact", "shop/redact")
_LIST: Final = """query Webhooks($after: String) {
  webhookSubscriptions(first: 100, after: $after) { nodes { id topic uri } pageInfo { hasNextPage endCursor } }
}"""
_CREATE: Final = """mutation AddWebhook($topic: WebhookSubscriptionTopic!, $sub: WebhookSubscriptionInput!) {
  webhookSubscriptionCreate(topic: $topic, webhookSubscription: $sub) {
    webhookSubscription { id topic uri } userErrors { field message } }
}"""
_UPDATE: Final = """mutation MendWebhook($id: ID!, $sub: WebhookSubscriptionInput!) {
  webhookSubscriptionUpdate(id: $id, webhookSubscription: $sub) {
    webhookSubscription { id topic uri } userErrors { field message } }
}"""
_DELETE: Final = """mutation RemoveWebhook($id: ID!) {
  webhookSubscriptionDelete(id: $id) { deletedWebhookSubscriptionId userErrors { field message } }
}"""

Subscription = Mapping[str, Any]


def wanted_topics(job: Job) -> list[str]:
    """What we understand and the source allows, and what we need."""
    allowed = job.source["allowed_topics"]
    topics = {topic for topic in PROVIDERS["shopify"].topics if allowed is None or topic in allowed}
    return sorted((topics | set(ALWAYS)) - set(BY_HAND))


def reconcile(job: Job, known: Sequence[Mapping[str, Any]]) -> list[Found]:
    """How each topic stands after the shop was brought to what we want; changes nothing where nothing is amiss.

    Raises:
        UpstreamFailed: the shop could not be asked.
    """
    api, address = ShopifyApi(job), job.address
    listed = _listed(api)
    there = {str(one["id"]) for one in listed}
    made = {row["external_id"]: row["topic"] for row in known if row["external_id"]}
    ours: dict[str, list[Subscription]] = defaultdict(list)
    for one in listed:
        if one["uri"] == address or one["id"] in made:
            ours[str(one["topic"])].append(one)
    gone = {topic for external_id, topic in made.items() if external_id not in there}
    found = []
    for topic in wanted_topics(job):
        mine = sorted(ours.pop(_name(topic), []), key=lambda one: one["uri"] != address)
        kept, extra = mine[:1], mine[1:]
        # Whoever put it back: it may have been ourselves, before we could write that down.
        found.append(_settled(api, topic, address, kept[0] if kept else None, was_dropped=topic in gone))
        _remove(api, extra)
    for unwanted in ours.values():
        _remove(api, unwanted)
    note = f"Set in the app's own settings as a compliance webhook: {address}"
    return found + [Found(topic, RegistrationState.BY_HAND, address=address, note=note) for topic in BY_HAND]


def _settled(api: ShopifyApi, topic: str, address: str, there: Subscription | None, *, was_dropped: bool) -> Found:
    if there is not None and there["uri"] == address:
        return Found(topic, RegistrationState.REGISTERED, str(there["id"]), address, is_dropped=was_dropped)
    sub = {"uri": address, "format": "JSON"}
    try:
        if there is not None:
            answer = api.run("webhooks.mend", _UPDATE, {"id": there["id"], "sub": sub})["webhookSubscriptionUpdate"]
        else:
            answer = api.run("webhooks.add", _CREATE, {"topic": _name(topic), "sub": sub})["webhookSubscriptionCreate"]
    except UpstreamFailed as failure:
        if failure.code not in ("graphql_error", "access_denied"):
            raise
        return Found(topic, RegistrationState.REFUSED, address=address, note=failure.message)
    problems = "; ".join(str(error["message"]) for error in answer["userErrors"])
    if "already been taken" in problems:  # by a request of ours whose answer was lost
        return Found(topic, RegistrationState.REGISTERED, None, address, is_dropped=was_dropped)
    if problems:
        return Found(topic, RegistrationState.REFUSED, address=address, note=problems[:500])
    made = str(answer["webhookSubscription"]["id"])
    return Found(topic, RegistrationState.REGISTERED, made, address, is_dropped=was_dropped)


def _listed(api: ShopifyApi) -> list[Subscription]:
    listed: list[Subscription] = []
    after: str | None = None
    while True:
        page = api.run("webhooks.list", _LIST, {"after": after})["webhookSubscriptions"]
        listed += page["nodes"]
        if not page["pageInfo"]["hasNextPage"]:
            return listed
        after = page["pageInfo"]["endCursor"]


def _remove(api: ShopifyApi, subscriptions: Sequence[Subscription]) -> None:
    for one in subscriptions:
        api.run("webhooks.remove", _DELETE, {"id": one["id"]})


def _name(topic: str) -> str:
    return topic.replace("/", "_").upper()
