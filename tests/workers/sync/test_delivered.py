"""What a provider's double posts, having been asked to, a served ingress takes in and a CRM is told of."""

import json
from collections.abc import Iterator

import pytest
import requests

from shared import directory, sources, subscriptions
from shared.clock import to_json
from shared.crypto import KeyRing
from shared.db.engine import transaction
from shared.providers import samples
from shared.providers import sns as protocol
from shared.subscription_fields import check
from shared.upstream_work import Kind
from tests import envelopes
from tests.doubles.crm import Crm
from tests.doubles.sns import TOPIC, Sns, root
from tests.doubles.sns import serving as serving_sns
from tests.shared.providers.acting import NOW
from tests.waiting import until
from tests.workers.sync.conftest import SHOP, Rig, serving
from web.certificates import Certificates
from workers.delivery import dispatch as dispatching
from workers.inbound.drain import drain
from workers.sync.sns import confirm


@pytest.fixture
def crm(rig: Rig, ring: KeyRing) -> Iterator[Crm]:
    """A CRM that is subscribed to everything."""
    with Crm(clock=lambda: rig.now) as double:
        values = {"name": "CRM", "url": double.url("/"), "events": ["*"]}
        checked = check(rig.context.settings, values)
        with transaction(rig.context.engine) as connection:
            _, secret = subscriptions.create(
                connection, ring, rig.context.settings, account_id=rig.account, checked=checked, now=rig.now
            )
        double.trust("/", secret)
        yield double


def carry(rig: Rig) -> None:
    """What the workers do with what came in."""
    for shard in range(4):
        drain(rig.context, shard, clock=lambda: rig.now)
    try:
        dispatching.dispatch(rig.context, clock=lambda: rig.now)
    finally:
        dispatching.close(rig.context, seconds=0.5)


def told(crm: Crm) -> list[tuple[str, str]]:
    """What the CRM believed: the types of events, and of whom each is."""
    assert crm.refused() == []
    bodies = [envelopes.read(receipt.body) for receipt in crm.at("/")]
    return [(body["event"], next(iter(body["data"].values()))["externalId"]) for body in bodies]


def test_what_is_registered_at_shopify_is_posted_and_delivered(served: Rig, crm: Crm) -> None:
    assert served.do(Kind.REGISTRATION)["state"] == "done"
    customer = json.loads(samples.make("shopify", "customers/create", number=3, at=NOW, tenant=SHOP))
    assert served.shop.tell("customers/create", customer) == [200]
    carry(served)
    assert told(crm) == [("user.created", str(customer["id"]))]


def test_a_topic_that_is_subscribed_at_sns_is_confirmed_and_what_it_publishes_is_delivered(
    rig: Rig, ring: KeyRing, crm: Crm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.certificates.amazon_roots", lambda: [root().certificate])
    rig.now = NOW
    with transaction(rig.context.engine) as connection:
        sources.create(
            connection,
            ring,
            account_id=rig.account,
            provider="amazon",
            path="amazon",
            settings={"topicArns": [TOPIC]},
            now=NOW,
        )
        directory.publish(connection, rig.context.client)
    with serving_sns(Sns(now=NOW)) as sns, serving(rig, ring, clock=lambda: rig.now) as ingress:
        ingress.certificates = Certificates(rig.context.settings, fetch=sns.fetch)
        endpoint = f"{rig.context.settings.public_url}/api/webhooks/amazon"
        until(lambda: requests.post(endpoint, b"{}", timeout=5).status_code == 401, what="the source")
        order = samples.make("amazon", "ORDER_CHANGE", number=3, at=NOW).decode()
        notification = sns.message(protocol.NOTIFICATION, Message=order, Timestamp=to_json(NOW))

        assert sns.post(endpoint, sns.subscribe(endpoint, at=NOW)) == 200
        assert sns.publish(notification) == []  # nobody has confirmed
        carry(rig)
        assert confirm(rig.context, now=rig.now, ask=sns.get) == {"confirmed": 1, "failed": 0, "waiting": 0}
        assert sns.confirmed == [endpoint]
        assert sns.publish(notification) == [200]
        forged = notification.replace(b"AmazonOrderId", b"AmazonOrderID")
        assert sns.publish(forged) == [401]
        carry(rig)
    [order_id] = [row["external_id"] for row in rig.rows("SELECT external_id FROM orders")]
    assert order_id in order
    assert {of for _, of in told(crm)} == {order_id}
    assert told(crm)[0] == ("order.created", order_id)
