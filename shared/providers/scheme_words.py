"""A scheme in words, for whoever enters it in a sender's console.

Comes in: a scheme. Comes out: sentences that name every header and every form that the sender has to get right, and no
secret. Pure; nothing is left behind.
"""

from typing import Final

from shared.providers.schemes import Scheme

MISCONFIGURED: Final = "The source's settings do not hold together: until they do, everything is refused."
_UNITS: Final = {
    "s": "in seconds since 1970",
    "ms": "in milliseconds since 1970",
    "http-date": "as an HTTP date",
    "iso": "as ISO 8601",
}
_KEYS: Final = {
    "utf8": "the source's secret",
    "hex": "the source's secret read as hex",
    "base64": "the source's secret read as base64",
    "whsec": "what is behind whsec_ in the source's secret, read as base64",
}


def in_words(scheme: Scheme) -> str:
    """How a request proves itself under the scheme."""
    told = [_proof(scheme)]
    if scheme.addresses and scheme.mode != "none_with_ip_allowlist":
        told.append(f"It may come from {_addresses(scheme)} alone.")
    return " ".join(told)


def _proof(scheme: Scheme) -> str:
    match scheme.mode:
        case "static_header":
            behind = f" behind {scheme.prefix!r}" if scheme.prefix else ""
            return f"The source's secret itself goes into the header {scheme.header}{behind}."
        case "basic":
            return "The source's secret goes into the header Authorization, as Basic: it is the whole user:password."
        case "path_token":
            return (
                "The source's secret goes into the URL, as the part behind this one (/<secret>); a + and a / of it are "
                "written - and _, and an = at its end is left out."
            )
        case "none_with_ip_allowlist":
            return f"Nothing proves it but where it comes from, {_addresses(scheme)}."
        case _:
            return _signature(scheme)


def _signature(scheme: Scheme) -> str:
    kind = f"{'HMAC-' if scheme.mode == 'hmac' else ''}{scheme.algorithm.upper()}"
    key = "the key is" if scheme.mode == "hmac" else "before it stands"
    told = (
        f"The header {scheme.header} has {_form(scheme)}: the {scheme.encoding} {kind} of {_plain(scheme.template)}; "
    )
    told += f"{key} {_KEYS[scheme.key_encoding]}."
    if scheme.timestamp is not None:
        where = f" from the header {scheme.timestamp.header}" if scheme.timestamp.header else ""
        told += f" {{ts}} is the time{where}, {_UNITS[scheme.timestamp.unit]}."
    if scheme.id_header:
        told += f" {'{id} is' if '{id}' in scheme.template else 'The id of the delivery is in'} the header "
        told += f"{scheme.id_header}."
    return told


def _form(scheme: Scheme) -> str:
    signature = "<signature>"
    if scheme.elements is not None:
        time = f"{scheme.elements.timestamp}={{ts}}," if scheme.elements.timestamp else ""
        return f"{time}{scheme.elements.signatures[0]}={signature}"
    return f"{scheme.prefix}{signature}"


def _plain(template: str) -> str:
    """The template as it can be read in one line."""
    return template.replace("\n", "\\n")


def _addresses(scheme: Scheme) -> str:
    return ", ".join(str(address) for address in scheme.addresses)
