"""What a subscription may be set to: every value checked, before any transaction, since a URL's host is resolved.

Nothing is left behind, and a dying process loses nothing.
"""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic.alias_generators import to_camel

from shared.destinations.contract import Destination
from shared.destinations.registry import DESTINATIONS
from shared.egress import check_url, host_of
from shared.errors import EgressRefused, Unacceptable
from shared.events import CATALOGUE, matches, patterns_of
from shared.settings import Settings

SCHEDULES = ("standard",)
ORDERINGS = ("none", "record", "strict")
NAME_MAX = 200
DESCRIPTION_MAX = 2000
URL_MAX = 2000
EVENTS_MAX = 100
# Every event is of a type of the catalogue, whatever a source maps (workers/inbound/origin.py): these match something.
_PATTERNS = frozenset(pattern for name in CATALOGUE for pattern in patterns_of(name))

# Whole numbers and seconds, each with its least and its most.
_BOUNDS: Mapping[str, tuple[float, float]] = {
    "retry_attempts": (0, 50),
    "retry_delay_seconds": (0, 86_400),
    "timeout_ms": (100, 60_000),  # and at most request_timeout_seconds
    "disable_after": (1, 1_000_000),
    "disable_after_seconds": (0, 30 * 86_400),
    "max_in_flight": (1, 1000),
}


@dataclass(frozen=True, slots=True)
class Checked:
    """Values that a subscription may be set to, by column, and what its owner should know all the same."""

    values: Mapping[str, Any]
    warnings: tuple[str, ...] = field(default=())


def check(settings: Settings, fields: Mapping[str, Any], *, destination: str | None = None) -> Checked:
    """`fields` by column name, checked and normalised. `destination` is the present one; None: a new subscription.

    `credential`, which is no column, is the secret of an API that the owner brings along. It may wait for a name
    server, so no transaction is open. A host that does not resolve is a warning: it may yet.

    Raises:
        Unacceptable: a field is unknown or its value is not one it may have; the first problem found.
    """
    values = dict(fields)
    kind = _destination(values, destination)
    if destination is None:
        own = {"url": kind.url, "ordering": kind.ordering if kind.ordering != "none" else ""}
        values = {name: value for name, value in own.items() if value} | values
        if "url" not in values:
            raise Unacceptable("url_missing", "A subscription has a url, where events are sent.")
    if (destination is None or "settings" in values) and (problems := kind.check_settings(values.get("settings", {}))):
        raise Unacceptable("settings_malformed", " ".join(problems))
    _check_credential(kind, values, is_new=destination is None)
    if "name" in values:
        values["name"] = _text("name", values["name"], least=1, most=NAME_MAX)
    if "description" in values:
        values["description"] = _text("description", values["description"] or "", least=0, most=DESCRIPTION_MAX)
    if "events" in values:
        values["events"] = check_events(values["events"])
        _check_carried(kind, values["events"])
    _check_numbers(settings, values)
    if values.get("schedule") is not None and values["schedule"] not in SCHEDULES:
        raise Unacceptable("schedule_unknown", f"Schedules are: {', '.join(SCHEDULES)}; or null for retry_delay.")
    if values.get("ordering", "none") not in ORDERINGS:
        raise Unacceptable("ordering_unknown", f"Orderings are: {', '.join(ORDERINGS)}.")
    return Checked(values, _check_url(settings, values["url"]) if "url" in values else ())


def told(values: Mapping[str, Any]) -> dict[str, Any]:
    """What the audit log is told of a change: of a URL its host, and of what may hold credentials that it changed."""
    secret = dict.fromkeys(values.keys() & {"settings", "credential"}, "changed")
    host = {"host": host_of(values["url"])} if "url" in values else {}
    return {name: value for name, value in values.items() if name != "url"} | host | secret


def check_events(patterns: Sequence[str]) -> list[str]:
    """The patterns, each once, in the order given: `*`, `order.*` or a type of the catalogue.

    Raises:
        Unacceptable: there is none, there are too many, or one matches no type; the message suggests what was meant.
    """
    if not 0 < len(patterns) <= EVENTS_MAX:
        raise Unacceptable("events_malformed", f"A subscription names 1 to {EVENTS_MAX} event types or patterns.")
    for pattern in patterns:
        if pattern in _PATTERNS:
            continue
        near = difflib.get_close_matches(pattern, sorted(_PATTERNS), n=3, cutoff=0.5)
        hint = f" Did you mean {' or '.join(near)}?" if near else " GET /api/admin/event-types lists them."
        raise Unacceptable("event_type_unknown", f"There is no event type {pattern[:100]!r}.{hint}")
    return list(dict.fromkeys(patterns))


def _destination(values: Mapping[str, Any], present: str | None) -> Destination:
    wanted = values.get("destination", present or "webhook")
    if wanted not in DESTINATIONS:
        raise Unacceptable("destination_unknown", f"Destinations are: {', '.join(sorted(DESTINATIONS))}.")
    if present not in (None, wanted):
        # Its secret would go to where it does not belong.
        raise Unacceptable("destination_fixed", "A subscription keeps its destination; make another one.")
    return DESTINATIONS[wanted]


def _check_credential(kind: Destination, values: Mapping[str, Any], *, is_new: bool) -> None:
    credential = values.get("credential")
    if kind.check_credential is None:
        if credential is not None:
            raise Unacceptable("credential_unwanted", f"{kind.title}: its secret is made here, none is brought along.")
    elif credential is not None:
        if problems := kind.check_credential(credential):
            raise Unacceptable("credential_malformed", " ".join(problems))
    elif is_new or "credential" in values:
        raise Unacceptable("credential_missing", f"{kind.title}: a credential of its API is needed.")


def _check_carried(kind: Destination, patterns: Sequence[str]) -> None:
    for pattern in patterns:
        odd = [name for name in CATALOGUE if matches([pattern], name) and not kind.takes(name)]
        if odd:
            can = ", ".join(sorted(kind.event_types or ()))
            raise Unacceptable("event_type_not_carried", f"{kind.title} carries {can}; not {odd[0]} ({pattern!r}).")


def _check_numbers(settings: Settings, values: Mapping[str, Any]) -> None:
    for name, (least, most) in _BOUNDS.items():
        top = settings.request_timeout_seconds * 1000 if name == "timeout_ms" else most
        if name in values and not least <= values[name] <= top:
            word = name.replace("retry_delay_seconds", "retry_delay")  # the public contract's
            raise Unacceptable(f"{word}_out_of_range", f"{to_camel(word)} is {least:.0f} to {top:.0f}.")


def _text(name: str, value: str, *, least: int, most: int) -> str:
    value = value.strip()
    if not least <= len(value) <= most:
        raise Unacceptable(f"{name}_malformed", f"A {name} has {least} to {most} characters.")
    return value


def _check_url(settings: Settings, url: str) -> tuple[str, ...]:
    if len(url) > URL_MAX:
        raise Unacceptable("url_malformed", f"A URL has at most {URL_MAX} characters.")
    try:
        check_url(url, allow_http=settings.allow_http_destinations, networks=settings.allowed_networks())
    except EgressRefused as refused:
        if refused.code != "host_unresolvable":
            raise Unacceptable(refused.code, refused.message) from refused
        return (f"{refused.message}; deliveries fail until it can be.",)
    return ()
