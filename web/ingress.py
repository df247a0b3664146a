"""The ingress: takes webhooks in. Nothing but this is loaded in its process, and it needs no database.

Comes in: a provider's request. Left behind: one entry of the inbox, fsynced before the 200, and a drain order when
none was on its way. A process that dies before the 200 may leave an entry all the same: the provider sends again, and
the drain knows the repeat. One that dies after it loses nothing but the order, which beat gives again.
"""

import queue
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import lru_cache, partial
from http import HTTPStatus
from typing import Any, NamedTuple

import redis
from flask import Flask, Response, request

from shared import logs, orders, queues, refusals, valkey
from shared.clock import utc_now
from shared.crypto import KeyRing, load_ring
from shared.directory import Listing
from shared.errors import QueueUnavailable
from shared.ids import new_id
from shared.inbox import Appended, Arrival, Inbox, shard_of
from shared.providers.content_types import check
from shared.providers.contract import Evidence, Provider, Refusal, Reply, Request
from shared.providers.registry import PROVIDERS
from shared.settings import Settings, current
from web import wsgi
from web.answers import Answer, accepted, error, own_words
from web.certificates import Certificates
from web.listings import Listings
from web.proxies import believed

PREFIX = "/api/webhooks/"
# Paths that existing apps have registered; the topic is never read from one.
ALIASES: Mapping[str, str] = {
    "/webhooks/customers/create": "shopify",
    "/webhooks/customers/update": "shopify",
    "/webhooks/customers/delete": "shopify",
    "/shopify/webhook": "shopify",
    "/facebook/webhook": "facebook",
}
WORD_CHARACTERS = 15  # of a part of a path; in one that leads nowhere, what is longer may be somebody's token
PATH_PARTS = 6  # of a source's path, at most
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
INTERNAL = error(500, "internal", "Something went wrong on our side.")
ERRORS = (
    error(404, "not_found", "There is nothing here."),
    error(405, "method_refused", "This method is not accepted here."),
    INTERNAL,
)
UNAVAILABLE = error(503, "queue_unavailable", "The queue cannot take it now.")
CREDENTIALS = ("authorization", "proxy-authorization", "cookie")


Fetch = Callable[..., bytes | Refusal]  # Certificates.get, or one that does not wait


class Place(NamedTuple):
    """Where a request's path leads."""

    listing: Listing | None  # None: nowhere
    beneath: str  # what of the path follows the source's own


class Arrived(NamedTuple):
    """A genuine webhook that is to be kept, and what its provider expects to hear then."""

    arrival: Arrival
    reply: Reply | None


class Ingress:
    """The views and what they stand on."""

    def __init__(self, settings: Settings, ring: KeyRing, *, clock: Callable[[], datetime]) -> None:
        self.settings = settings
        self.clock = clock
        self.client = valkey.connect(settings.redis_url, timeout_seconds=settings.queue_timeout_seconds)
        self.inbox = Inbox(self.client, shards=settings.inbox_shards)
        self.listings = Listings(self.client, ring, clock=clock)
        self.certificates = Certificates(settings)
        self.proxies = believed(settings.trusted_proxies())
        self._orders: queue.SimpleQueue[int | None] = queue.SimpleQueue()

    def start(self) -> None:
        """Load the directory and start the two background threads."""
        self.listings.start()
        threading.Thread(target=self._send_orders, name="orders", daemon=True).start()

    def stop(self) -> None:
        """End the background threads."""
        self.listings.stop()
        self._orders.put(None)

    def _send_orders(self) -> None:
        # Apart from the requests: a broker that is slow must not make the provider wait for its 200.
        while (shard := self._orders.get()) is not None:
            orders.send(self.settings, queues.DRAIN, shard)

    def place(self, path: str) -> Place | None:
        """Where a request's path leads; `None` while the sources are not known yet."""
        by_path = self.listings.by_path
        if by_path is None:
            return None
        name = source_path(path)
        found = nearest(by_path, name)
        if found is None:
            return Place(None, unlike_a_path(name))
        beneath = name[len(found[0]) :]
        return Place(found[1] if takes(found[1], beneath) else None, beneath)

    def receive(self, environ: Mapping[str, Any]) -> Answer:
        """Take in one webhook; waits for its body and for Valkey."""
        place = self.place(wsgi.path_of(environ))
        if place is None:
            return error(503, "queue_unavailable", "The sources are not known yet.")
        if place.listing is None:
            # What is beneath a source, or no word, may have been meant as a secret.
            unknown = Refusal("source_unknown", "There is no such source.", 404)
            return self.refuse(unknown, self.request(environ, place.beneath).without_beneath(), None)
        body = wsgi.read_body(environ, self.settings.max_body_bytes)
        if isinstance(body, Refusal):
            return self.refuse(body, self.request(environ, place.beneath), place.listing)
        received = self.request(environ, place.beneath, body)
        judged = self.judge(received, place.listing, self.certificates.get)
        if isinstance(judged, Arrived):
            [appended] = self.inbox.append_all([judged.arrival])
            judged = self.settle(judged, appended)
        return self.refuse(judged, received, place.listing) if isinstance(judged, Refusal) else judged

    def request(self, environ: Mapping[str, Any], beneath: str, body: bytes = b"") -> Request:
        """A request as providers judge it."""
        return wsgi.as_request(environ, self.settings.public_url, body=body, beneath=beneath, proxies=self.proxies)

    def judge(self, received: Request, listing: Listing, certificate: Fetch) -> Arrived | Answer | Refusal:
        """What is to become of a request, with `certificate` to ask for one; nothing has been kept of it yet.

        Raises what `certificate` raises.
        """
        provider = PROVIDERS.get(listing.source.provider)
        if provider is None:
            return Refusal("source_misconfigured", "The source's provider is not known here.", 503)
        if not listing.active:
            return Refusal("source_inactive", "The source is switched off.", 403)
        if received.method not in provider.methods:
            return Refusal("method_refused", f"{received.method} is not accepted here.", 405)
        if name := received.headers.ambiguous():
            return Refusal("header_ambiguous", f"{name} is present in two spellings.", 400)
        now = self.clock()
        evidence = Evidence(now, partial(certificate, now=now))
        challenge = provider.challenge(received, listing.source, evidence) if provider.challenge else None
        if isinstance(challenge, Refusal):
            return challenge
        if challenge is not None and not challenge.enqueue:
            return own_words(challenge)
        if refusal := provider.verify(received, listing.source, evidence) or check(provider, received, listing.source):
            return refusal
        tenant = provider.route(received, listing.source)
        if provider.has_tenants and listing.tenants is not None and tenant not in listing.tenants:
            return Refusal("tenant_unknown", "The shop or seller is not one of this source's integrations.")
        return self._arrived(received, listing, provider, tenant, now)

    def _arrived(
        self, received: Request, listing: Listing, provider: Provider, tenant: str, now: datetime
    ) -> Arrived | Answer:
        source = listing.source
        message_id = new_id()
        reply = provider.reply(received, source, str(message_id)) if provider.reply else None
        if reply is not None and not reply.enqueue:
            return own_words(reply)
        secret = [name for name in (*CREDENTIALS, *provider.secret_headers(source)) if name in received.headers]
        if received.beneath and provider.path_token(source):
            received = received.without_beneath(parts=1)
        arrival = Arrival(
            message_id=message_id,
            source_id=source.id,
            tenant=tenant,
            request=replace(received, headers=received.headers.without(secret)) if secret else received,
            received_at=now,
            max_length=self.settings.inbox_max_length,
            rate_per_second=listing.rate_per_second,
        )
        return Arrived(arrival, reply)

    def settle(self, arrived: Arrived, appended: Appended | QueueUnavailable) -> Answer | Refusal:
        """The answer to a request that was to be kept; orders its drain when none is on its way."""
        if isinstance(appended, QueueUnavailable):
            return UNAVAILABLE
        if appended.refused == "rate":
            return Refusal("rate_exceeded", "The source sends faster than it may.", 429)
        if appended.refused is not None:
            return error(503, "queue_full", "The queue is full.")
        arrival = arrived.arrival
        if appended.wake:
            self._orders.put(shard_of(arrival.source_id, arrival.tenant, self.inbox.shards))
        return own_words(arrived.reply) if arrived.reply else accepted(str(arrival.message_id))

    def refuse(self, refusal: Refusal, received: Request, listing: Listing | None) -> Answer:
        """The answer to a request that is turned away, which is logged."""
        provider = PROVIDERS.get(listing.source.provider) if listing else None
        secret = provider.secret_headers(listing.source) if listing and provider else ()
        if received.beneath and listing and provider and provider.path_token(listing.source):
            received = received.without_beneath(parts=1)
        refusals.record(
            self.client,
            refusal,
            replace(received, headers=received.headers.without(secret)),
            at=self.clock(),
            kept=self.settings.refusals_kept,
            provider=provider.name if provider else "",
            source_id=listing.source.id if listing else "",
            account_id=listing.account_id if listing else "",
        )
        allow = provider.methods if provider and refusal.status == HTTPStatus.METHOD_NOT_ALLOWED else ()
        return error(refusal.status, refusal.code, refusal.message, allow=allow)

    def health(self) -> Answer:
        """200 when webhooks can be taken: the directory is loaded and the queue answers."""
        try:
            answers = bool(self.client.ping())
        except redis.RedisError:
            answers = False
        if answers and self.listings.by_path is not None:
            return Answer(200, b'{"status":"ok"}')
        return error(503, "queue_unavailable", "The queue does not answer, or the sources are not known yet.")


def source_path(path: str) -> str:
    """The source's own path in a request's; "" when it is none of the ingress's."""
    return path[len(PREFIX) :] if path.startswith(PREFIX) else ALIASES.get(path, "")


def nearest(by_path: Mapping[str, Listing], name: str) -> tuple[str, Listing] | None:
    """The source with the longest path that is `name` or that `name` is beneath, and that path."""
    if listing := by_path.get(name):
        return name, listing
    parts = name.split("/", PATH_PARTS)[:PATH_PARTS]
    for count in range(len(parts), 0, -1):
        path = "/".join(parts[:count])
        if listing := by_path.get(path):
            return path, listing
    return None


def unlike_a_path(name: str) -> str:
    """Of a path that leads nowhere what follows its first part, when there is a part too long for a word."""
    first, _, rest = name.partition("/")
    is_long = any(len(part) > WORD_CHARACTERS for part in rest.split("/"))
    return name[len(first) :] if is_long else ""


def takes(listing: Listing, beneath: str) -> bool:
    """Whether requests may go to this path beneath the source's own: a call's path, or a token."""
    if not beneath:
        return True
    provider = PROVIDERS.get(listing.source.provider)
    if provider is None:
        return False
    return provider.subpaths or (provider.path_token(listing.source) and beneath.count("/") == 1)


class ShortWay:
    """What a webhook for a known path takes: straight to the ingress, before Flask makes its contexts and routes.

    Half of the time that a webhook spends in Python would be Flask's, for nothing that it needs. All else is Flask's.
    """

    def __init__(self, ingress: Ingress, flask: Callable[[Any, Any], Iterable[bytes]]) -> None:
        self.ingress = ingress
        self.flask = flask

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """The WSGI app."""
        path: str = environ["PATH_INFO"]
        if environ["REQUEST_METHOD"] != "POST" or source_path(path) not in (self.ingress.listings.by_path or ()):
            return self.flask(environ, start_response)
        try:
            answer = self.ingress.receive(environ)
        except Exception:  # noqa: BLE001  # the app's edge, as Flask's own is for the rest
            logs.get("ingress").exception("webhook.unexpected")
            answer = INTERNAL
        return answer.start(start_response)


def make_app(settings: Settings, ring: KeyRing, *, clock: Callable[[], datetime] = utc_now) -> Flask:
    """The WSGI app over `settings`, its background threads running; `extensions["ingress"].stop()` ends them."""
    ingress = Ingress(settings, ring, clock=clock)
    ingress.start()
    app = Flask("crossdock.ingress", static_folder=None)
    app.url_map.merge_slashes = False  # a redirect would be to a URL that the provider did not sign, if it followed
    app.extensions["ingress"] = ingress

    def receive(name: str = "") -> Response:
        del name  # read from the environ, as that of an alias is
        return ingress.receive(request.environ).flask()

    app.add_url_rule("/healthz", "health", lambda: ingress.health().flask(), methods=["GET"])
    app.add_url_rule(f"{PREFIX}<path:name>", "receive", receive, methods=METHODS)
    for alias in ALIASES:
        app.add_url_rule(alias, alias, receive, methods=METHODS)
    for answer in ERRORS:
        app.register_error_handler(answer.status, lambda _, answer=answer: answer.flask())
    app.wsgi_app = ShortWay(ingress, app.wsgi_app)  # type: ignore[method-assign]  # as Flask's guide has middleware
    return app


@lru_cache(maxsize=1)
def _app() -> Flask:
    settings = current()
    logs.configure(settings)
    return make_app(settings, load_ring(settings))


def __getattr__(name: str) -> Flask:
    """`app` is made when a server first asks for it, so that importing this module starts nothing."""
    if name == "app":
        return _app()
    raise AttributeError(name)
