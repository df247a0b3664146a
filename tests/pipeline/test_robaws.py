"""A company's clients and articles, each from an endpoint with a secret of its own, to what the CRM believes."""

import json
from typing import Any

import requests

from tests.doubles.crm import Crm
from tests.doubles.robaws import PATH, Robaws
from tests.pipeline.merchant import Merchant


def endpoint(robaws: Robaws, merchant: Merchant, noun: str, *events: str) -> str:
    """Have an administrator make an endpoint, and a source of its own for it with the secret that is told; its path."""
    path = f"{merchant.slug}-{noun}"
    asked: dict[str, Any] = {"url": f"{merchant.stack.ingress_url}/api/webhooks/{path}", "events": list(events)}
    made = requests.post(robaws.url(PATH), json=asked, auth=("key", "secret"), timeout=5).json()
    merchant.source("robaws", path=path, secrets=[made["secret"]], allowed_topics=list(events))
    return path


def test_clients_and_articles_are_told_each_by_its_own_endpoint(merchant: Merchant, crm: Crm) -> None:
    merchant.subscribe(crm, "/")
    with Robaws() as robaws:
        endpoint(robaws, merchant, "clients", "client.created", "client.updated")
        endpoint(robaws, merchant, "articles", "article.created", "article.updated", "article.stock-changed")
        client = robaws.add_client(name="Lindenhof BV", status="prospect", tel="+32 9 000 00 00")
        robaws.change_client(client, status="customer")
        article = robaws.add_article(name="Чайник", stock=40, salePrice="19.90")
        robaws.count_stock(article, 12.5)
        assert robaws.post()
        # Of what was accepted Robaws may think that it was not.
        robaws.change_client(client, email="zoe@lindenhof.example")
        [last] = robaws.owed
        assert robaws.post()
        robaws.owed.append(last)
        assert robaws.post()
        assert merchant.wait_messages(6) == {"processed": 5, "duplicate": 1}
        expected = {"user.created": 1, "user.updated": 2, "article.created": 1, "article.updated": 1}
        assert merchant.events() == expected
        merchant.wait_delivered(5)
        told = [json.loads(receipt.body) for receipt in crm.at("/")]
        assert crm.refused() == []
        assert {body["data"]["user"]["externalId"] for body in told if "user" in body["data"]} == {client}
        [changed] = [body["data"]["article"] for body in told if body["event"] == "article.updated"]
        assert (changed["stock"], changed["priceMinor"], changed["name"]) == (12.5, 1990, "Чайник")
        # The other endpoint's secret proves nothing here.
        clients, articles = robaws.endpoints
        clients.secret, articles.secret = articles.secret, clients.secret
        robaws.change_client(client, status="supplier")
        assert not robaws.post()
        assert robaws.owed[0].statuses == [401]
