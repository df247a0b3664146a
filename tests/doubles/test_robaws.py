"""The double of Robaws refuses what Robaws refuses, signs as it documents it, and tries again what was not accepted."""

import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.doubles.robaws import PATH, TRIES, Robaws, robaws_webhook
from tests.doubles.served import Fault, Reply, Served

GOOD = {"url": "https://hooks.example.com/robaws", "events": ["client.created", "article.stock-changed"]}


class Receiver(Served):
    """Takes what is posted to it, when it wants to."""

    def answer(self, *_: Any) -> Reply:
        return Reply(200)


@pytest.fixture
def robaws() -> Iterator[Robaws]:
    with Robaws(allow_http=False) as made:
        yield made


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as made:
        yield made


def call(robaws: Robaws, method: str, path: str = "", *, auth: Any = ("key", "secret"), **more: Any) -> Any:
    return requests.request(method, robaws.url(PATH + path), auth=auth, timeout=5, **more)


def test_an_endpoint_is_made_its_secret_told_once_and_taken_away(robaws: Robaws) -> None:
    made = call(robaws, "POST", json=GOOD)
    assert made.status_code == 201
    assert robaws.endpoints[0].secret == made.json()["secret"]
    [listed] = call(robaws, "GET").json()["items"]
    assert listed == {"id": made.json()["id"], **GOOD}
    assert call(robaws, "DELETE", f"/{listed['id']}").status_code == 204
    assert call(robaws, "DELETE", f"/{listed['id']}").status_code == 404
    assert call(robaws, "GET").json() == {"items": []}


@pytest.mark.parametrize(
    ("auth", "status"),
    [(("key", "wrong"), 401), (("other", "secret"), 401), (None, 401), (("member", "member-secret"), 403)],
)
def test_only_an_administrator_is_let_in(robaws: Robaws, auth: Any, status: int) -> None:
    for method in ("GET", "POST"):
        assert call(robaws, method, auth=auth, json=GOOD).status_code == status
    assert robaws.endpoints == []


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"json": GOOD | {"url": "http://hooks.example.com"}}, 400),
        ({"json": GOOD | {"url": 7}}, 400),
        ({"json": GOOD | {"events": []}}, 400),
        ({"json": GOOD | {"events": ["client.deleted"]}}, 400),
        ({"json": {"url": GOOD["url"]}}, 400),
        ({"json": ["x"]}, 400),
        ({"data": "{", "headers": {"Content-Type": "application/json"}}, 400),
        ({"data": json.dumps(GOOD), "headers": {"Content-Type": "text/plain"}}, 415),
    ],
)
def test_an_endpoint_that_cannot_be_is_refused(robaws: Robaws, given: dict[str, Any], status: int) -> None:
    assert call(robaws, "POST", **given).status_code == status
    assert robaws.endpoints == []


def test_lists_come_in_pages(robaws: Robaws) -> None:
    for number in range(25):
        robaws.make(f"https://hooks.example.com/{number}", ["client.created"])
    assert [len(call(robaws, "GET", f"?page={page}").json()["items"]) for page in range(3)] == [20, 5, 0]
    assert len(call(robaws, "GET", "?page=0&size=500").json()["items"]) == 25


def test_past_its_limit_it_says_how_long_to_wait_and_it_can_be_made_to_fail(robaws: Robaws) -> None:
    robaws.left = 1
    robaws.faults.append(Fault(502))
    assert call(robaws, "GET").status_code == 502
    assert call(robaws, "GET").status_code == 200
    refused = call(robaws, "GET")
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "30")


def test_what_happens_is_told_to_who_asked_for_it_signed_over_its_instant_and_body(receiver: Receiver) -> None:
    with Robaws() as robaws:
        clients = robaws.make(receiver.url("/clients"), ["client.created", "client.updated"])
        stock = robaws.make(receiver.url("/stock"), ["article.stock-changed"])
        client = robaws.add_client(name="Zoë & Zonen")
        robaws.change_client(client, tel="+32 9 000 00 00")
        article = robaws.add_article()
        robaws.count_stock(article, 3)
        assert robaws.post()
    assert [(one.path, one.json["event"]) for one in receiver.asked] == [
        ("/clients", "client.created"),
        ("/clients", "client.updated"),
        ("/stock", "article.stock-changed"),
    ]
    assert len({one.json["id"] for one in receiver.asked}) == 3
    created, updated, changed = (one.json["data"] for one in receiver.asked)
    assert (created["id"], updated["tel"], changed["stock"]) == (client, "+32 9 000 00 00", 3)
    assert created["updatedAt"] < updated["updatedAt"]
    for one, secret in zip(receiver.asked, (clients.secret, clients.secret, stock.secret), strict=True):
        stamp, _, signature = one.headers["robaws-signature"].partition(",v1=")
        signed = stamp.removeprefix("t=").encode() + b"." + one.body
        assert signature == hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def test_what_was_not_accepted_is_posted_again_with_the_same_body(receiver: Receiver) -> None:
    with Robaws() as robaws:
        robaws.make(receiver.url("/x"), ["client.created"])
        robaws.add_client()
        receiver.faults += [Fault(500), Fault(silent=True, after=True)]
        assert [robaws.post(), robaws.post(), robaws.post(), robaws.post()] == [False, False, True, True]
    assert len({one.body for one in receiver.asked}) == 1
    assert len(receiver.asked) == 3


def test_an_endpoint_that_never_accepts_is_suspended(receiver: Receiver) -> None:
    with Robaws() as robaws:
        endpoint = robaws.make(receiver.url("/x"), ["client.created"])
        receiver.faults += [Fault(401)] * TRIES
        robaws.add_client()
        while not robaws.post():
            assert endpoint in robaws.endpoints
        assert robaws.endpoints == []
        assert call(robaws, "GET").json() == {"items": []}
    assert len(receiver.answered(401)) == TRIES


def test_a_webhook_by_itself_is_signed_in_the_same_way() -> None:
    webhook = robaws_webhook(path="robaws", secret="hush", event="client.created", data={"id": 1}, delivery_id="d")
    stamp, _, signature = webhook.headers["Robaws-Signature"].partition(",v1=")
    signed = stamp.removeprefix("t=").encode() + b"." + webhook.body
    assert signature == hmac.new(b"hush", signed, hashlib.sha256).hexdigest()


@pytest.mark.parametrize("query", ["?page=x", "?page=-1", "?size=", "?size=²"])
def test_a_page_that_is_no_number_is_refused(robaws: Robaws, query: str) -> None:
    assert call(robaws, "GET", query).status_code == 400
