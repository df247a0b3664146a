"""Content types: whether a body says that it is something that its provider sends and that can be read.

Comes in: a genuine request. Comes out: a refusal or none. Pure; nothing is left behind. It is asked after the
signature, and can be switched off for a source: a provider that changes its header must not cost anybody a webhook.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from shared.providers import options
from shared.providers.contract import Provider, Refusal, Request, Source
from shared.providers.form_body import FORM_TYPE
from shared.strict_json import shown

HEADER: Final = "content-type"
USUAL: Final = "application/json"
# Amazon SNS sends JSON as a plain text, and so do clients that were told of no type.
# Source: docs.aws.amazon.com/sns, "Creating an HTTP/S delivery policy", headerContentType, read 2026-11.
JSON_TYPES: Final = (USUAL, "application/*+json", "text/json", "text/plain")
SHOWN_CHARACTERS: Final = 100
CHARSETS: Final = frozenset(("", "utf-8", "utf8", "us-ascii", "ascii"))


def check(provider: Provider, request: Request, source: Source) -> Refusal | None:
    """Passes a body that is called JSON or, where the provider reads such, a form; in UTF-8.

    One that is not called anything passes, and so does what is no body at all.
    """
    values = request.headers.all(HEADER)
    if values in ((USUAL,), ()) or not request.body:
        return None
    taken = (*JSON_TYPES, FORM_TYPE) if provider.reads_forms(source) else JSON_TYPES
    # A server folds what was sent twice into one value.
    given = [one for value in values for one in value.split(",") if one.strip()]
    if all(_is_one_of(one, taken) for one in given) or options.takes_any_content_type(source.settings):
        return None
    said = shown(", ".join(given), SHOWN_CHARACTERS)
    message = f"A body of type {said} is not taken here, but one of {', '.join(taken)}, in UTF-8."
    return Refusal("content_type_unsupported", message, status=415)


@lru_cache(maxsize=256)
def _is_one_of(value: str, taken: Sequence[str]) -> bool:
    kind, *parameters = value.lower().split(";")
    pairs = [parameter.partition("=") for parameter in parameters]
    charsets = [text.strip().strip("\"'") for name, _, text in pairs if name.strip() == "charset"]
    start, _, end = kind.strip().partition("/")
    is_taken = kind.strip() in taken or (start == "application" and end.endswith("+json"))
    return is_taken and CHARSETS.issuperset(charsets)
