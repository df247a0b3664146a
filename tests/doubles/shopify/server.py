"""The double's HTTP side: `/<shop>/admin/...` for each of its shops, on a port of this machine."""

import hashlib
import hmac
import secrets
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import Any, Self
from urllib.parse import urlencode

from flask import Flask, Response, g, redirect, request
from werkzeug.serving import WSGIRequestHandler, make_server

from shared.clock import utc_now
from tests.doubles.served import Fault, taken
from tests.doubles.shopify import graphql, language
from tests.doubles.shopify.cost import MAX_COST, cost_of
from tests.doubles.shopify.selection import Selection
from tests.doubles.shopify.shop import Shop
from tests.doubles.shopify.versions import served_version


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *_: Any, **__: Any) -> None:
        pass


class Shopify:
    """One app and the shops that may install it; `with Shopify() as shopify:` runs it."""

    def __init__(
        self,
        *,
        client_id: str = "kettle-app",
        app_secret: str = "kettle-secret",  # noqa: S107
        allow_http: bool = True,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self.client_id = client_id
        self.secret = app_secret
        self.allow_http = allow_http
        self.clock = clock
        self.is_public_app = False  # a new one, of which no token is taken that does not end
        self.is_forgiving = False  # a refresh token whose answer was lost is taken again, as Shopify does since 2026-08
        self.before_renewal: Callable[[], None] = lambda: None
        self.redirect_uris: set[str] = set()
        self.granted: tuple[str, ...] | None = None  # None: what was asked for
        self.shops: dict[str, Shop] = {}
        self.faults: deque[Fault] = deque()  # of the token endpoint and the API
        self.answered: list[int] = []
        app = Flask("shopify-double")
        app.add_url_rule("/<shop>/admin/oauth/authorize", view_func=self._authorize)
        app.add_url_rule("/<shop>/admin/oauth/access_token", view_func=self._token, methods=["POST"])
        app.add_url_rule("/<shop>/admin/api/<version>/graphql.json", view_func=self._graphql, methods=["POST"])
        app.after_request(self._note)
        self._is_over = threading.Event()
        self._server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    @property
    def url(self) -> str:
        """What `shopify_url` is set to."""
        return f"http://127.0.0.1:{self._server.port}/{{shop}}"

    def shop(self, domain: str = "acme.myshopify.com") -> Shop:
        """The shop of this domain; made when there is none."""
        return self.shops.setdefault(domain, Shop(domain, self.secret, allow_http=self.allow_http))

    def fail(self, status: int, *, times: int = 1, **headers: str) -> None:
        """Answer the next calls of the API with `status`; other trouble is put into `faults`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.faults.extend([Fault(status, named)] * times)

    def callback_query(self, domain: str, state: str, **more: str) -> dict[str, str]:
        """The query that the shop's owner comes back with, having agreed; signed by the documented recipe."""
        shop = self.shop(domain)
        shop.code = secrets.token_hex(16)
        query = {
            "code": shop.code,
            "host": "YWRtaW4uc2hvcGlmeS5jb20vc3RvcmUvYWNtZQ",
            "shop": domain,
            "state": state,
            "timestamp": str(int(time.time())),
            **more,
        }
        text = "&".join(f"{name}={query[name]}" for name in sorted(query))
        return query | {"hmac": hmac.new(self.secret.encode(), text.encode(), hashlib.sha256).hexdigest()}

    def _note(self, response: Response) -> Response:
        response.headers.update(g.get("headers", {}))
        self.answered.append(response.status_code)
        return response

    def _authorize(self, shop: str) -> Any:
        asked = request.args
        if shop not in self.shops:
            return Response("no such shop", 404)
        if asked.get("client_id") != self.client_id or asked.get("redirect_uri") not in self.redirect_uris:
            return Response("Oauth error invalid_request: The redirect_uri is not whitelisted", 400)
        self.shops[shop].scopes = self.granted or tuple(asked["scope"].split(","))
        query = self.callback_query(shop, asked.get("state", ""))
        return redirect(f"{asked['redirect_uri']}?{urlencode(query)}")

    def _faulty(self, answer: Callable[[], Any]) -> Any:
        """What `answer` says, or the fault that stands in its place."""
        fault = taken(self.faults, request.method, request.path)
        if fault is None:
            return answer()
        if fault.after:
            answer()
        if fault.slow:
            self._is_over.wait()
        if fault.silent:
            request.environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        return Response("{}", fault.status, dict(fault.headers))

    def _token(self, shop: str) -> Any:
        return self._faulty(lambda: self._granted(shop))

    def _graphql(self, shop: str, version: str) -> Any:
        return self._faulty(lambda: self._run(shop, version))

    def _granted(self, shop: str) -> Any:
        if request.mimetype != "application/json":
            return {"error": "invalid_request"}, 415
        asked = request.get_json(silent=True)
        if not isinstance(asked, dict):
            return {"error": "invalid_request"}, 400
        known = self.shops.get(shop)
        if known is None or asked.get("client_id") != self.client_id or asked.get("client_secret") != self.secret:
            return {"error": "invalid_client"}, 401
        if asked.get("grant_type") == "refresh_token":
            self.before_renewal()
            renewed = known.renew(asked.get("refresh_token"), self.clock(), forgiving=self.is_forgiving)
            return renewed or ({"error": "invalid_grant", "error_description": "Not a refresh token"}, 400)
        if known.code is None or asked.get("code") != known.code:
            return {"error": "invalid_request", "error_description": "The code was not found or was already used"}, 400
        known.code = None
        return known.grant(self.clock(), expiring=asked.get("expiring") == "1")

    def _run(self, shop: str, version: str) -> Any:
        served = served_version(version)
        if served is None:
            return {"errors": "Not Found"}, 404
        g.headers = {"X-Shopify-API-Version": served}
        known = self.shops.get(shop)
        if known is None or not known.takes(request.headers.get("X-Shopify-Access-Token"), self.clock()):
            return {"errors": "[API] Invalid API key or access token (unrecognized login or wrong password)"}, 401
        if self.is_public_app and known.token_ends is None:
            return {"errors": "[API] Non-expiring access tokens are no longer accepted for the Admin API."}, 403
        if request.mimetype != "application/json":
            return {"errors": "Unsupported Media Type"}, 415
        asked = request.get_json(silent=True)
        if not isinstance(asked, dict) or not _is_request(asked):
            return {"errors": {"query": "Required parameter missing or invalid"}}, 400
        try:
            document = language.read(asked["query"], asked.get("operationName"))
            variables = language.variables_of(document, asked.get("variables") or {})
            selection = Selection(document, variables, graphql.closed(known))
            cost = cost_of(selection)
            if cost > MAX_COST:
                return _errors("MAX_COST_EXCEEDED", f"Query cost is {cost}, which exceeds the limit")
            if not known.bucket.spend(cost):
                known.throttled += 1
                return _errors("THROTTLED", "Throttled") | self._cost(known, cost, None)
            return graphql.run(known, selection, version=served) | self._cost(known, cost, cost)
        except language.Refused as refused:
            return {"errors": refused.errors}

    def _cost(self, shop: Shop, requested: float, actual: float | None) -> dict[str, Any]:
        if not shop.tells_cost:
            return {}
        status = {
            "maximumAvailable": shop.bucket.maximum,
            "currentlyAvailable": int(shop.bucket.look()),
            "restoreRate": shop.bucket.restore_rate,
        }
        return {
            "extensions": {
                "cost": {"requestedQueryCost": requested, "actualQueryCost": actual, "throttleStatus": status}
            }
        }


def _errors(code: str, message: str) -> dict[str, Any]:
    return {"errors": [language.error(message, code)]}


def _is_request(asked: dict[str, Any]) -> bool:
    variables, name = asked.get("variables"), asked.get("operationName")
    is_formed = isinstance(variables, dict | None) and isinstance(name, str | None)
    return is_formed and isinstance(asked.get("query"), str)
