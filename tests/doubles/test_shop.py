"""The double of a vendor signs as the vendor documents it, and tries again what was not accepted."""

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.doubles.shop import Load, Shop, post


class _Handler(BaseHTTPRequestHandler):
    statuses: list[int]
    seen: list[str]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append(self.headers["X-Shopify-Webhook-Id"])
        status = self.statuses.pop(0) if self.statuses else 200
        answer = json.dumps({"received": True, "id": f"message-{len(self.seen)}"}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name is the library's
        pass


@pytest.fixture
def handler() -> type[_Handler]:
    return type("Handler", (_Handler,), {"statuses": [], "seen": []})


@pytest.fixture
def url(handler: type[_Handler]) -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def shop() -> Shop:
    return Shop(path="shop", secret="hush", domain="shop.myshopify.com")


def test_a_webhook_is_signed_over_its_raw_body_and_has_an_id_of_its_own(shop: Shop) -> None:
    first, second = shop.created(1), shop.updated(1, 2)
    digest = base64.b64encode(hmac.new(b"hush", first.body, hashlib.sha256).digest()).decode()
    assert first.headers["X-Shopify-Hmac-Sha256"] == digest
    assert first.headers["X-Shopify-Topic"] == "customers/create"
    assert first.delivery_id != second.delivery_id
    assert json.loads(second.body)["updated_at"] > json.loads(first.body)["updated_at"]


def test_a_503_is_tried_again_with_the_same_id_and_a_401_is_not(shop: Shop, url: str, handler: type[_Handler]) -> None:
    handler.statuses[:] = [503, 200, 401]
    accepted, refused = shop.created(1), shop.created(2)
    report = post(url, [accepted, refused])
    assert handler.seen == [accepted.delivery_id, accepted.delivery_id, refused.delivery_id]
    assert report.accepted == {accepted.delivery_id: ["message-2"]}
    assert report.refused == [503, 401]


def test_a_load_posts_every_sequence_in_its_order(shop: Shop, url: str, handler: type[_Handler]) -> None:
    sequences = [[shop.created(10 * sequence + number) for number in range(5)] for sequence in range(2)]
    report = Load(url, sequences).start().finish()
    for sequence in sequences:
        ids = [webhook.delivery_id for webhook in sequence]
        assert [seen for seen in handler.seen if seen in ids] == ids
        assert set(ids) <= set(report.accepted)


def test_nobody_at_home_is_counted_and_given_up_when_the_patience_ends(shop: Shop) -> None:
    report = post("http://127.0.0.1:1", [shop.created(1)], patience_seconds=0)
    assert (report.accepted, report.broken) == ({}, 1)
