"""/shopify/<shop>/login and /shopify/callback: a shop's owner lets us in, and sees how it goes.

Comes in: a browser. Left behind: the integration with its sealed token, and its registration and first sync due; all
in one transaction, after the one call to Shopify. A process that dies between the two has used the code up: the owner
opens the link again. Every answer is a page, and the token is on none.
"""

import hmac
from collections.abc import Callable, Mapping
from functools import wraps
from http import HTTPStatus
from typing import Any, Final

from flask import Response, g, redirect, request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import ConfigDict, Field
from werkzeug.wrappers import Response as Redirect

from shared import accounts, connections, integrations, logs, orders, queues, registrations, sources, upstream_work
from shared.db.engine import transaction
from shared.errors import Unacceptable
from shared.ids import new_id
from shared.shopify_domain import domain_of
from shared.upstream_work import Kind
from web import oauth_state, shopify_oauth, shopify_pages
from web.auth import open_to_all
from web.context import here, publish_directory
from web.errors import UNAVAILABLE
from web.shapes import Form

AT: Final = "/shopify"
PROVIDER: Final = "shopify"
ROUND_COOKIE: Final = "crossdock_oauth"
SESSION_COOKIE: Final = "crossdock_shop"
_PAGE: Final[Mapping[str, Any]] = {"content": {"text/html": {"schema": {"type": "string"}}}}
_PAGES: Final[Any] = {"200": dict(_PAGE), "4XX": dict(_PAGE), "5XX": dict(_PAGE)}
_GONE: Final[Any] = {"303": {"description": "On to the next page."}, "4XX": dict(_PAGE), "5XX": dict(_PAGE)}

_log = logs.get("console")

api = APIBlueprint(
    "shopify",
    __name__,
    url_prefix=AT,
    abp_tags=[Tag(name="Connecting a shop", description="Pages for a shop's owner, not for programs.")],
)


class ShopPath(Form):
    """A path with a shop in it."""

    shop: str = Field(description="`acme` or `acme.myshopify.com`.")


class LoginQuery(Form):
    """Which source the shop joins, where several would take it. Whatever else a link carries is passed over."""

    model_config = ConfigDict(extra="ignore")

    source: str = Field("", description="The source's path.")


def _with_pages(view: Callable[..., Response | Redirect]) -> Callable[..., Response | Redirect]:
    """`view`, whose refusals are pages that say what to do."""

    @wraps(view)
    def shown(*args: Any, **kwargs: Any) -> Response | Redirect:
        try:
            return view(*args, **kwargs)
        except Unacceptable as error:
            return _problem(error.code, error.status)
        except UNAVAILABLE as error:
            _log.warning("shop.unavailable", error=type(error).__name__)
            return _problem("unavailable", HTTPStatus.SERVICE_UNAVAILABLE)
        except Exception:  # noqa: BLE001  # an edge: whoever sees this reads no JSON
            error_id = str(new_id())
            _log.exception("shop.failed", error_id=error_id)
            return _problem("internal", HTTPStatus.INTERNAL_SERVER_ERROR)

    return shown


def _problem(code: str, status: int) -> Response:
    return _page(shopify_pages.problem_page(code, nonce=g.nonce), status)


@api.errorhandler(Unacceptable)
def _refused(error: Unacceptable) -> Response:
    """What is refused of every request before its view is asked, such as U+0000 in a query: a page here too."""
    return _problem(error.code, error.status)


@api.get("/<shop>/login", responses=_GONE)
@open_to_all
@_with_pages
def login(path: ShopPath, query: LoginQuery) -> Response | Redirect:
    """Send the shop's owner to Shopify, to agree."""
    context = here()
    shop = _shop(path.shop)
    if not context.settings.shopify_client_id:
        raise Unacceptable("not_set_up", "No client id is set.", status=HTTPStatus.SERVICE_UNAVAILABLE)
    with transaction(context.engine) as connection:
        source_id = connections.find_source(connection, provider=PROVIDER, tenant=shop, path=query.source)
    state = oauth_state.begin_round(context.client, oauth_state.Round(source_id, shop))
    there = shopify_oauth.authorize_url(
        context.settings, shop, state=state, redirect_uri=f"{context.settings.console_address()}{AT}/callback"
    )
    response = redirect(there, HTTPStatus.SEE_OTHER)
    _set_cookie(response, ROUND_COOKIE, state, seconds=oauth_state.ROUND_SECONDS)
    return response


@api.get("/callback", responses=_GONE)
@open_to_all
@_with_pages
def callback() -> Response | Redirect:
    """Take the shop's owner back from Shopify, and the shop in."""
    context, now = here(), here().now()
    settings = context.settings
    parameters = shopify_oauth.read_query(request.query_string)
    shop = _shop(parameters.get("shop", ""))
    begun = _round(parameters.get("state", ""))
    if begun.shop != shop:
        raise Unacceptable("shop_mismatch", "The answer is for another shop.", status=HTTPStatus.BAD_REQUEST)
    with transaction(context.engine) as connection:
        source = connections.joinable(connection, context.ring, begun.source_id, now=now)
    shopify_oauth.check(parameters, source.secrets, now=now)
    if not parameters.get("code"):
        raise Unacceptable("code_missing", "The owner did not agree.", status=HTTPStatus.BAD_REQUEST)
    token = shopify_oauth.exchange(
        settings, context.client, shop, code=parameters["code"], secret=source.secrets[0], now=now
    )
    missing = token.missing(settings.shopify_scopes.split(","))
    with transaction(context.engine) as connection:
        row = connections.connect(
            connection,
            context.ring,
            source,
            tenant=shop,
            credentials=token.grant.credentials(),
            detail={"scopes": list(token.scopes), "missingScopes": missing},
            # What messages left open as well: while there was no token that is good, nobody could be asked.
            work=(Kind.REGISTRATION, Kind.SYNC, Kind.INQUIRY),
            actor=f"shop:{shop}",
            now=now,
        )
    publish_directory()
    orders.send(settings, queues.UPSTREAM_WORK)
    response = redirect(f"{AT}/{shop}", HTTPStatus.SEE_OTHER)
    session = oauth_state.open_session(context.client, row["id"])
    _set_cookie(response, SESSION_COOKIE, session, seconds=oauth_state.SESSION_SECONDS)
    response.delete_cookie(ROUND_COOKIE, path=AT, secure=True, httponly=True, samesite="Lax")
    return response


@api.get("/<shop>", responses=_PAGES)
@open_to_all
@_with_pages
def show_shop(path: ShopPath) -> Response | Redirect:
    """Show how the shop's connection goes, to the browser that made it."""
    context = here()
    shop = _shop(path.shop)
    known = oauth_state.session(context.client, request.cookies.get(SESSION_COOKIE, ""))
    if known is None:
        raise _no_session()
    with transaction(context.engine) as connection:
        row = integrations.get(connection, context.ring, known, account_id=None)
        account = accounts.get(connection, row["account_id"])
        source = sources.get(connection, row["source_id"], account_id=None)
        work = upstream_work.standing(connection, known)
        topics = registrations.list_registrations(connection, known)
    if row["external_id"] != shop or row["state"] != "active":
        raise _no_session()
    page = shopify_pages.shop_page(
        shop,
        account=account,
        source=source["path"],
        missing_scopes=row["detail"].get("missingScopes", ()),
        work=work,
        registrations=topics,
        nonce=g.nonce,
    )
    return _page(page, HTTPStatus.OK)


def _shop(name: str) -> str:
    domain = domain_of(name)
    if domain is None:
        raise Unacceptable("shop_malformed", "That is no shop.", status=HTTPStatus.BAD_REQUEST)
    return domain


def _round(state: str) -> oauth_state.Round:
    """The round that this browser began; its nonce is used up, whatever comes of it."""
    mine = request.cookies.get(ROUND_COOKIE, "")
    if not mine or not state:
        raise Unacceptable("state_missing", "The browser has no nonce.", status=HTTPStatus.BAD_REQUEST)
    # Before the nonce is used up: what another browser sends here must not end the round of this one.
    if not hmac.compare_digest(mine.encode(), state.encode()):
        raise Unacceptable("state_mismatch", "The nonce is another's.", status=HTTPStatus.BAD_REQUEST)
    begun = oauth_state.take_round(here().client, state)
    if begun is None:
        raise Unacceptable("state_used", "The nonce is used up.", status=HTTPStatus.BAD_REQUEST)
    return begun


def _no_session() -> Unacceptable:
    return Unacceptable("session_missing", "The browser has no session.", status=HTTPStatus.FORBIDDEN)


def _set_cookie(response: Redirect, name: str, value: str, *, seconds: int) -> None:
    # Lax and not Strict: the browser comes back from Shopify with it. Secure holds on http://127.0.0.1 too.
    response.set_cookie(name, value, max_age=seconds, path=AT, secure=True, httponly=True, samesite="Lax")


def _page(text: str, status: int) -> Response:
    return Response(text, status, content_type="text/html; charset=utf-8")
