"""A blueprint for the routes of one noun, with what all of them have in common in the API's description.

Nothing is left behind.
"""

from typing import Any

from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag

from web.shapes import ErrorAnswer

# A key that belongs to an account needs no X-Admin-ID; one that reaches every account does.
SECURITY: list[dict[str, list[str]]] = [{"key": []}, {"key": [], "account": []}]
ERRORS: dict[Any, Any] = {
    "400": ErrorAnswer,
    "401": ErrorAnswer,
    "403": ErrorAnswer,
    "422": ErrorAnswer,
    "503": ErrorAnswer,
}


def noun(name: str, about: str, *, at: str, part: str = "") -> APIBlueprint:
    """The blueprint of the routes below `at`, under the heading `name`; `part` tells two files of one noun apart."""
    return APIBlueprint(
        name.lower() + part,
        __name__,
        url_prefix=at,
        abp_tags=[Tag(name=name, description=about)],
        abp_security=SECURITY,
        abp_responses=dict(ERRORS),
    )
