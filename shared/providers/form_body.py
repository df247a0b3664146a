"""Bodies that are forms: their fields as the sender signed them, and as JSON.

Comes in: a request whose body may be `application/x-www-form-urlencoded`. Comes out: its fields. A sample's fields go
the other way. Pure; nothing is left behind.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from shared.errors import PayloadUnexpected
from shared.payload import parse
from shared.providers.contract import JSON, Refusal, Request
from shared.strict_json import shown, unstorable

FORM_TYPE = "application/x-www-form-urlencoded"
FIELDS_MAX = 1_000
DIGEST_FIELD = "bodySHA256"  # in the URL, where the body is no form


@dataclass(frozen=True, slots=True)
class Form:
    """A form that is to be sent."""

    fields: Mapping[str, str]

    def encoded(self) -> bytes:
        """The body."""
        return urlencode(self.fields).encode()


def is_form(request: Request) -> bool:
    """Whether the body says that it is a form."""
    return is_form_type(request.headers.get("Content-Type") or "")


def is_form_type(content_type: str) -> bool:
    """Whether a body of the type is a form."""
    return content_type.partition(";")[0].strip().lower() == FORM_TYPE


def fields(body: bytes) -> dict[str, list[str]] | None:
    """The fields by name, each value once and sorted, as they are signed; `None` when it is no form in UTF-8."""
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, max_num_fields=FIELDS_MAX, encoding="utf-8", errors="strict"
        )
    except ValueError:  # UnicodeDecodeError too
        return None
    found: dict[str, set[str]] = {}
    for name, value in pairs:
        found.setdefault(name, set()).add(value)
    return {name: sorted(values) for name, values in found.items()}


def signed(request: Request) -> bytes | Refusal:
    """What is signed of the body beside the URL: a form's sorted names and values, or nothing of any other body.

    A body that is no form is covered by its digest in the signed URL; without one it is not protected, and refused.
    Source: twilio.com, docs/usage/security, read 2026-11; a value is counted once, as its own libraries do.
    """
    digests = parse_qs(urlsplit(request.url).query).get(DIGEST_FIELD, [])
    ours = hashlib.sha256(request.body).hexdigest().encode()
    if any(not hmac.compare_digest(ours, digest.lower().encode("utf-8", "replace")) for digest in digests):
        return Refusal("signature_mismatch", "The body's digest in the URL is another one.")
    if not is_form(request):
        if request.body and not digests:
            return Refusal("signature_missing", f"The body is no form, and the URL has no {DIGEST_FIELD}.")
        return b""
    found = fields(request.body)
    if found is None:
        return Refusal("signature_malformed", "The form is malformed.")
    return "".join(name + value for name in sorted(found) for value in found[name]).encode()


def as_json(request: Request) -> JSON:
    """A form as an object: a text a field, a list where it has several; `None` when it is no form.

    A field that stands twice is nothing ambiguous, for a form has lists in no other way: every value is kept. A form
    whose one field is named `payload` stands for the JSON in it, as GitHub and Slack send it.

    Raises:
        PayloadUnexpected: it is a form, and what it says cannot be kept or read.
    """
    # Some clients call a form whatever they post; no form's serialiser leaves these as they are.
    found = None if request.body.lstrip()[:1] in (b"{", b"[") or not is_form(request) else fields(request.body)
    if not found:
        return None
    for name, values in found.items():
        if flaw := next(filter(None, map(unstorable, (name, *values))), None):
            raise PayloadUnexpected(f"the form holds {flaw} at {shown(name)}")
    if set(found) == {"payload"}:
        if len(found["payload"]) > 1:
            raise PayloadUnexpected('the form has several fields "payload", and each is a message of its own')
        value, problem = parse(found["payload"][0].encode(), "the form's payload")
        if problem is not None:
            raise PayloadUnexpected(problem)
        return value
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}
