"""The API's reference page: Swagger UI from the installed package, reading the description that the code gives.

Nothing is fetched from elsewhere, and the page's policy lets no script run but its own. Nothing is left behind.
"""

import secrets
from collections.abc import Callable
from typing import Any

from flask import Response, g, redirect, request
from flask_openapi3.openapi import OpenAPI
from werkzeug.wrappers import Response as Redirect

from web import auth

AT = "/api/docs"
_PAGE = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>Crossdock API</title>
  <link rel="icon" href="swagger/images/swagger.svg">
  <link rel="stylesheet" href="swagger/css/swagger-ui.css">
</head>
<body>
  <div id="reference"></div>
  <script src="swagger/js/swagger-ui-bundle.js"></script>
  <script nonce="{{ g.nonce }}">
    SwaggerUIBundle({
      url: new URL("{{ doc_url }}", window.location.href).href,
      dom_id: "#reference", deepLinking: true, docExpansion: "none", validatorUrl: null
    });
  </script>
</body>
</html>
"""


def open_reference(app: OpenAPI) -> None:
    """Serve the reference to all: the description is the code's, and holds nothing of anybody's."""
    app.config["SWAGGER_HTML_STRING"] = _PAGE
    app.before_request(_set_nonce)
    app.view_functions["openapi.openapi"] = _to_page
    for endpoint, view in list(app.view_functions.items()):
        if endpoint.startswith(("openapi.", "swagger.")):
            app.view_functions[endpoint] = auth.open_to_all(_plain(view))


def policy() -> str:
    """The Content-Security-Policy of the answer to this request."""
    if request.path.startswith("/shopify/"):  # pages for people: a style of their own, and nothing else
        return f"default-src 'none'; style-src 'nonce-{g.get('nonce')}'; frame-ancestors 'none'; base-uri 'none'"
    if request.path != f"{AT}/swagger":
        return "default-src 'none'; frame-ancestors 'none'"
    return (
        # Swagger UI sets styles inline; scripts run by the nonce alone.
        f"default-src 'none'; script-src 'self' 'nonce-{g.get('nonce')}'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    )


def secured(response: Response) -> Response:
    """`response` with the headers that every answer of the console has."""
    response.headers["Content-Security-Policy"] = policy()
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["X-Frame-Options"] = "DENY"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    if not request.path.startswith(f"{AT}/swagger/"):
        response.headers["Cache-Control"] = "no-store"
    return response


def _set_nonce() -> None:
    g.nonce = secrets.token_urlsafe(16)


def _to_page() -> Redirect:
    return redirect(f"{AT}/swagger")


def _plain(view: Callable[..., Any]) -> Callable[..., Any]:
    """`view` as a function of our own, which can be marked; a bound method cannot."""

    def shown(**kwargs: Any) -> Any:
        return view(**kwargs)

    return shown
