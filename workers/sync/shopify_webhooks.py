"""A shop's webhook subscriptions brought to what we want: listed, added, mended and removed.

Comes in: what was known. Comes out: how each topic stands. Left behind at Shopify: one subscription a topic, at our
address; those of the same app at other addresses are left alone, unless we made them. A process that dies in the
middle leaves some topics undone, which the next look finds, and some done that nothing tells of: what was dropped is
known by its id, which is not listed any more, whoever has put the topic back. Where one has to be made anew it is
removed first, and a process that dies just then has dropped it itself, which the next look tells of too.

Source: shopify.dev, webhookSubscriptions and WebhookSubscription, read 2026-11.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
_FIELDS: Final = "id topic uri format filter includeFields metafieldNamespaces apiVersion { handle }"
_LIST: Final = f"""query Webhooks($after: String) {{
  webhookSubscriptions(first: 100, after: $after) {{ nodes {{ {_FIELDS} }} pageInfo {{ hasNextPage endCursor }} }}
}}"""
_CREATE: Final = f"""mutation AddWebhook($topic: WebhookSubscriptionTopic!, $sub: WebhookSubscriptionInput!) {{
  webhookSubscriptionCreate(topic: $topic, webhookSubscription: $sub) {{
    webhookSubscription {{ {_FIELDS} }} userErrors {{ field message }} }}
}}"""
_UPDATE: Final = f"""mutation MendWebhook($id: ID!, $sub: WebhookSubscriptionInput!) {{
  webhookSubscriptionUpdate(id: $id, webhookSubscription: $sub) {{
    webhookSubscription {{ {_FIELDS} }} userErrors {{ field message }} }}
}}"""
_DELETE: Final = """mutation RemoveWebhook($id: ID!) {
  webhookSubscriptionDelete(id: $id) { deletedWebhookSubscriptionId userErrors { field message } }
}"""
# What we want of each beside its topic and address: all of it, whatever it is about, as JSON.
_WHOLE: Final[Mapping[str, Any]] = {"format": "JSON", "filter": None, "includeFields": [], "metafieldNamespaces": []}

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
    notes = {row["topic"]: row["note"] for row in known}
    ours: dict[str, list[Subscription]] = defaultdict(list)
    for one in listed:
        if one["uri"] == address or one["id"] in made:
            ours[str(one["topic"])].append(one)
    gone = {topic for external_id, topic in made.items() if external_id not in there}
    found = []
    for topic in wanted_topics(job):
        mine = sorted(ours.pop(_name(topic), []), key=lambda one: one["uri"] != address)
        kept, extra = mine[:1], mine[1:]
        _remove(api, extra)  # first: a mended one must not meet its double
        wanted = _Topic(
            topic,
            address,
            job.settings.shopify_api_version,
            # Whoever put it back: it may have been ourselves, before we could write that down.
            was_dropped=topic in gone,
            last_note=notes.get(topic),
        )
        found.append(_settled(api, wanted, kept[0] if kept else None))
    for unwanted in ours.values():
        _remove(api, unwanted)
    note = f"Set in the app's own settings as a compliance webhook: {address}"
    return found + [Found(topic, RegistrationState.BY_HAND, address=address, note=note) for topic in BY_HAND]


@dataclass(frozen=True, slots=True)
class _Topic:
    """One topic as it is wanted, and what we said of it the last time."""

    name: str
    address: str
    version: str
    was_dropped: bool
    last_note: str | None

    def wrong(self, one: Subscription) -> list[str]:
        """The fields of a subscription that are not as they should be; the version apart."""
        wanted = {"uri": self.address, **_WHOLE}
        return [name for name, value in wanted.items() if (one.get(name) or None) != (value or None)]

    def version_note(self, one: Subscription) -> str | None:
        """What to say of a subscription that comes in another version than ours; `None`: it is ours."""
        handle = (one.get("apiVersion") or {}).get("handle")
        if not handle or handle == self.version:
            return None
        return (
            f"It is sent in version {handle} and not {self.version}: so the app's own settings have it, or Shopify has "
            "no such version."
        )

    def found(self, one: Subscription) -> Found:
        """How the topic stands with this subscription, which nothing more can be done about."""
        if wrong := self.wrong(one):
            words = f"Shopify does not let us set: {', '.join(wrong)}"
            return Found(self.name, RegistrationState.REFUSED, str(one["id"]), self.address, words)
        note = self.version_note(one)
        return Found(self.name, RegistrationState.REGISTERED, str(one["id"]), self.address, note, self.was_dropped)

    def refused(self, words: str) -> Found:
        """How it stands when the shop will not have it, unless it has it already."""
        if "already been taken" in words:  # by a request of ours whose answer was lost
            return Found(self.name, RegistrationState.REGISTERED, None, self.address, is_dropped=self.was_dropped)
        return Found(self.name, RegistrationState.REFUSED, address=self.address, note=words[:500])


def _settled(api: ShopifyApi, topic: _Topic, there: Subscription | None) -> Found:
    """How the topic stands, once it was mended, and made anew where that did not do."""
    sub = {"uri": topic.address, **_WHOLE}
    try:
        if there is not None and topic.wrong(there):
            answer = api.run("webhooks.mend", _UPDATE, {"id": there["id"], "sub": sub})["webhookSubscriptionUpdate"]
            if problems := _problems(answer):
                return topic.refused(problems)
            there = answer["webhookSubscription"]
        if there is not None and not topic.wrong(there):
            note = topic.version_note(there)
            if note is None or note == topic.last_note:  # making it anew was tried, and did not change that
                return topic.found(there)
        if there is not None:  # its version is that of the request that made it, and two of one address are refused
            _remove(api, [there])
        answer = api.run("webhooks.add", _CREATE, {"topic": _name(topic.name), "sub": sub})["webhookSubscriptionCreate"]
    except UpstreamFailed as failure:
        if failure.code not in ("graphql_error", "access_denied"):
            raise
        return topic.refused(failure.message)
    problems = _problems(answer)
    return topic.refused(problems) if problems else topic.found(answer["webhookSubscription"])


def _problems(answer: Mapping[str, Any]) -> str:
    return "; ".join(str(error["message"]) for error in answer["userErrors"])


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
