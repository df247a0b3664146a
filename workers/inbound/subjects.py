"""Whom and what a message is about, for the day that someone asks to be forgotten.

Comes in: what a message says. Comes out: `kind:external_id` of every record it names, as far as it says so. Pure; a
process that dies in the middle leaves nothing.
"""

from collections.abc import Sequence
from typing import Final

from shared.payload import clean_text
from shared.providers.contract import Change
from shared.users import MERGED_INTO
from workers.inbound.demands import INQUIRY

# What a field of any record refers to; whoever may own an order comes before what hangs on it.
REFERENCES: Final = (("customer_external_id", "user"), ("order_external_id", "order"))
# Kinds that speak of a user without being one.
_USERS: Final = frozenset({"interaction", "erasure", "data_request"})


TENANT: Final = "tenant"  # stands before a tenant that is an item's own, and not that of the message


def subjects_of(changes: Sequence[Change], *, tenant: str) -> tuple[str, ...]:
    """The subjects, each once, of a message of `tenant`."""
    found: dict[str, None] = {}
    for change in changes:
        if change.item is not None and change.item.tenant != tenant:
            found[subject(TENANT, change.item.tenant)] = None
        kind = "user" if change.kind in _USERS else change.kind
        if kind == INQUIRY:
            kind = str(change.fields["of"])
        found[subject(kind, change.external_id)] = None
        if kind == "user":
            if (kept := _kept(change)) is not None:
                found[subject("user", kept)] = None
            continue
        for field, other in REFERENCES:
            if (external_id := change.fields.get(field)) is not None:
                found[subject(other, str(external_id))] = None
    return tuple(found)


def _kept(change: Change) -> str | None:
    """Whom the user of a deletion was merged into."""
    attributes = change.fields.get("attributes") if change.op == "delete" else None
    found = attributes.get(MERGED_INTO) if isinstance(attributes, dict) else None
    return None if found is None else str(found)


def subject(kind: str, external_id: str) -> str:
    """How a subject is written down."""
    return clean_text(f"{kind}:{external_id}")
