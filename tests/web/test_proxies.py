"""Who asked, when proxies stand between: nobody can make himself somebody else."""

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from shared import refusals
from shared.errors import SettingsInvalid
from shared.inbox import Inbox
from shared.providers import samples
from shared.providers.contract import Sample
from shared.providers.registry import PROVIDERS
from shared.settings import Settings, load
from tests.web.sources import SECRET, Directory
from tests.web.test_ingress_channels import NOW, PUBLIC
from web.ingress import make_app
from web.proxies import MOST_HOPS, believed

OURS = ["10.0.0.0/8", "2001:db8:1::/48"]
CLIENT = "203.0.113.9"


def client_of(peer: str, forwarded: str) -> str:
    proxies = believed(OURS)
    assert proxies is not None
    return proxies.client(peer, forwarded)


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        pytest.param("198.51.100.1", CLIENT, "198.51.100.1", id="the peer is no proxy of ours"),
        pytest.param("10.0.0.1", CLIENT, CLIENT, id="one proxy"),
        pytest.param("10.0.0.1", f"{CLIENT}, 10.0.0.2", CLIENT, id="two proxies"),
        pytest.param("10.0.0.1", f"1.1.1.1, {CLIENT}", CLIENT, id="what the client made up stands further left"),
        pytest.param("10.0.0.1", f"10.0.0.3, {CLIENT}", CLIENT, id="even if it is an address of ours"),
        pytest.param("10.0.0.1", f"1.1.1.1,{CLIENT} , 10.0.0.2,10.9.9.9", CLIENT, id="three, spelt as they like"),
        pytest.param("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3", id="one of ours asks itself"),
        pytest.param("10.0.0.1", "", "10.0.0.1", id="no header"),
        pytest.param("10.0.0.1", " , ", "10.0.0.1", id="an empty one"),
        pytest.param("10.0.0.1", f"{CLIENT}, unknown", "10.0.0.1", id="nonsense is not passed over"),
        pytest.param("10.0.0.1", f"{CLIENT}, unknown, 10.0.0.2", "10.0.0.2", id="nor further out"),
        pytest.param("10.0.0.1", f"{CLIENT}:4711", CLIENT, id="with a port"),
        pytest.param("10.0.0.1", "[2001:db8:2::7]:4711", "2001:db8:2::7", id="six with a port"),
        pytest.param("10.0.0.1", "2001:DB8:2::7", "2001:db8:2::7", id="six"),
        pytest.param("2001:db8:1::1", CLIENT, CLIENT, id="a proxy of six"),
        pytest.param("::ffff:10.0.0.1", f"::ffff:{CLIENT}", CLIENT, id="four within six"),
        pytest.param("", CLIENT, "", id="a peer without an address"),
        pytest.param("10.0.0.1", ", ".join([CLIENT] + ["10.0.0.2"] * 5000), "10.0.0.2", id="longer than any of ours"),
    ],
)
def test_the_client_is_the_first_from_us_outwards_that_is_no_proxy_of_ours(peer: str, forwarded: str, client: str):
    assert client_of(peer, forwarded) == client


@given(st.text(max_size=200))
def test_whatever_a_client_writes_it_is_the_one_that_our_proxy_saw(made_up: str):
    assert client_of("10.0.0.1", f"{made_up},{CLIENT}") == CLIENT
    assert client_of("198.51.100.1", made_up) == "198.51.100.1"
    assert len(client_of("10.0.0.1", made_up)) < 64


def test_without_the_setting_there_is_nothing_to_ask():
    assert believed([]) is None
    assert Settings().trusted_proxies() == []
    assert MOST_HOPS < 100


@pytest.mark.parametrize("cidrs", ["10.0.0.1/8", "proxy.example", "0.0.0.0/0", "10.0.0.0/8, ::/0"])
def test_a_setting_that_is_no_network_or_everybody_is_refused(monkeypatch: pytest.MonkeyPatch, cidrs: str):
    monkeypatch.setenv("CROSSDOCK_TRUSTED_PROXY_CIDRS", cidrs)
    with pytest.raises(SettingsInvalid, match="trusted_proxy_cidrs"):
        load()


# Through the ingress.


@pytest.fixture
def through(redis_url, queue, ring):
    """The ingress by what it trusts: a client that posts what Flipkart would, and is allowed from one address only."""
    given = samples.SETTINGS["flipkart"] | {"addresses": [CLIENT]}
    Directory(queue, ring).put("flipkart", "flipkart", settings=given)
    apps = []

    def made(cidrs: str) -> FlaskClient:
        settings = Settings(
            database_url="postgresql://nowhere",
            redis_url=redis_url,
            inbox_shards=1,
            public_url=PUBLIC,
            trusted_proxy_cidrs=cidrs,
        )
        apps.append(make_app(settings, ring, clock=lambda: NOW))
        return apps[-1].test_client(use_cookies=False)

    yield made
    for app in apps:
        app.extensions["ingress"].stop()


def post(client: FlaskClient, peer: str, forwarded: str) -> int:
    provider, topic = PROVIDERS["flipkart"], "shipment_created"
    body = samples.make("flipkart", topic, number=3, at=NOW)
    url = f"{PUBLIC}/api/webhooks/flipkart"
    sample = Sample(
        topic=topic,
        body=body,
        secret=SECRET,
        tenant="",
        delivery_id="d-1",
        now=NOW,
        url=url,
        settings=samples.SETTINGS["flipkart"],
    )
    headers = [*provider.sign(sample), ("X-Forwarded-For", forwarded)]
    return client.post(
        "/api/webhooks/flipkart", data=body, headers=headers, environ_base={"REMOTE_ADDR": peer}
    ).status_code


def test_allow_lists_the_stored_address_and_the_log_are_about_the_client(through, queue):
    client = through("10.0.0.0/8")
    assert post(client, "10.0.0.1", f"1.1.1.1, {CLIENT}") == 200
    [entry] = Inbox(queue, shards=1).take(0, 10)
    assert entry.request.remote_addr == CLIENT
    assert post(client, "10.0.0.1", f"{CLIENT}, 198.51.100.7") == 403, "it was another that made it up"
    assert post(client, "198.51.100.7", CLIENT) == 403, "it came past the proxy"
    assert [logged["remoteAddr"] for logged in refusals.recent(queue, 5)] == ["198.51.100.7", "198.51.100.7"]


def test_without_the_setting_the_header_counts_for_nothing(through, queue):
    client = through("")
    assert post(client, "10.0.0.1", CLIENT) == 403
    assert post(client, CLIENT, "1.1.1.1") == 200
    assert [logged["remoteAddr"] for logged in refusals.recent(queue, 5)] == ["10.0.0.1"]
