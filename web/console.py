"""The console: the admin API, its description and its reference page. `web.console:app` is what a server loads.

Comes in: a person's request, with a key. Left behind: what the view's one transaction did, whole or not at all; a
process that dies in the middle leaves nothing of it.
"""

from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Any

from flask_openapi3.models.info import Info
from flask_openapi3.openapi import OpenAPI

from shared import __version__, logs
from shared.clock import utc_now
from shared.settings import Settings, current
from web import auth, errors, shopify
from web.api import (
    accounts,
    alerts,
    audit,
    deliveries,
    documents,
    events,
    health,
    integrations,
    keys,
    messages,
    privacy,
    records,
    refusals,
    replays,
    sources,
    upstream,
    webhook_actions,
    webhooks,
)
from web.context import EXTENSION, make_context
from web.reference import AT, open_reference, secured
from web.shapes import ErrorAnswer

MAX_REQUEST_BYTES = 1_000_000  # forms are small; what providers send goes to the ingress
API = (
    webhooks,
    webhook_actions,
    deliveries,
    events,
    messages,
    records,
    privacy,
    refusals,
    sources,
    integrations,
    upstream,
    documents,
    replays,
    alerts,
    audit,
    keys,
    accounts,
    health,
    shopify,
)
_ABOUT = (
    "Every call needs `Authorization: Bearer <API key>`. A key belongs to an account or reaches every one; then it "
    "names the one it acts for in `X-Admin-ID`, by id or slug. Lists are newest first; `nextCursor` is the next page's "
    '`cursor`. What goes wrong is `{"error": {"code", "message"}}`, and the code is stable.'
)
_SECURITY_SCHEMES: dict[str, Any] = {
    "key": {"type": "http", "scheme": "bearer", "description": "An API key, `cdk_...`."},
    "account": {"type": "apiKey", "in": "header", "name": "X-Admin-ID", "description": "The account, by id or slug."},
}


class Console(OpenAPI):
    """The app, whose requests know JSON objects only."""

    request_class = errors.JsonRequest


def make_app(settings: Settings, *, now: Callable[[], datetime] = utc_now) -> Console:
    """The console over `settings`; its connections open on first use."""
    app = Console(
        __name__,
        info=Info(title="Crossdock", version=__version__, description=_ABOUT),
        security_schemes=_SECURITY_SCHEMES,
        doc_prefix=AT,
        validation_error_model=ErrorAnswer,
        validation_error_callback=errors.invalid,
        static_folder=None,
    )
    app.config["MAX_CONTENT_LENGTH"] = MAX_REQUEST_BYTES
    app.extensions[EXTENSION] = make_context(settings, now=now)
    for part in API:
        app.register_api(part.api)
    open_reference(app)
    errors.register(app)
    app.before_request(auth.guard)
    app.after_request(secured)
    if undecided := auth.unmarked(app):
        raise RuntimeError(f"nobody has decided who may call {', '.join(undecided)}")
    return app


@lru_cache(maxsize=1)
def _served() -> Console:
    settings = current()
    logs.configure(settings)
    return make_app(settings)


def __getattr__(name: str) -> Console:
    """`app`, made when a server asks for it and not when a test imports this."""
    if name == "app":
        return _served()
    raise AttributeError(name)
