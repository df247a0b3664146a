"""A body as its provider reads it: JSON, or what the provider's senders post instead.

Comes in: a request. Comes out: its payload, or why it has none. Pure; nothing is left behind.
"""

from shared.errors import PayloadUnexpected
from shared.payload import parse
from shared.providers.contract import JSON, Provider, Request, Source


def read(provider: Provider, request: Request, source: Source) -> tuple[JSON, str | None]:
    """The payload and `None`, or `None` and why there is none: a sentence without its dot."""
    payload, problem = parse(request.body)
    if problem is None or provider.decode is None:
        return payload, problem
    try:
        decoded = provider.decode(request, source)
    except PayloadUnexpected as error:
        return None, str(error)
    return (None, problem) if decoded is None else (decoded, None)
