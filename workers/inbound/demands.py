"""What a message asks for beside changes of records: a shop let go, a person's rights met, a question put.

Comes in: a `Change` of a kind that is no record. Comes out: a demand, checked. Pure; a process that dies in the middle
leaves nothing.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from shared.errors import PayloadUnexpected
from shared.forms import ID_CHARACTERS
from shared.payload import clean_text
from shared.providers.contract import Change

INTEGRATION: Final = "integration"  # op delete: the app was uninstalled from the shop `external_id`
ERASURE: Final = "erasure"  # of the customer `external_id`, or `*` for the whole shop; fields: orders
DATA_REQUEST: Final = "data_request"  # of the customer `external_id`; fields: orders, request_id
CONFIRMATION: Final = "confirmation"  # the provider asks whether its topic `external_id` is to post to this source
DISCONNECTION: Final = "disconnection"  # the topic `external_id` posts to this source no more
INQUIRY: Final = "inquiry"  # the provider is asked how `of` (an order, the shop) with this id is now
INSTALLATION: Final = "installation"  # what an inquiry is about when a message that says the shop is gone is doubted
KINDS: Final = frozenset({INTEGRATION, ERASURE, DATA_REQUEST, CONFIRMATION, DISCONNECTION, INQUIRY})


@dataclass(frozen=True, slots=True)
class Demand:
    """Something to be done that is no change of a record."""

    kind: str
    subject: str  # the provider's id of the customer or the shop; `*`: everybody of the tenant
    at: datetime  # when it was asked or happened, by the provider's clock
    orders: tuple[str, ...] = ()
    request_id: str | None = None  # the provider's own, for people
    of: str | None = None  # what an inquiry is about


def demand(change: Change, *, at: datetime) -> Demand:
    """The demand that a change is.

    Raises:
        PayloadUnexpected: it has no usable id, or asks for what we do not do.
    """
    if not 0 < len(change.external_id) <= ID_CHARACTERS:
        raise PayloadUnexpected(f"an id has 1 to {ID_CHARACTERS} characters")
    if change.kind == INTEGRATION and change.op != "delete":
        raise PayloadUnexpected("an integration can only be let go of by a message")
    orders = change.fields.get("orders") or []
    if not isinstance(orders, list | tuple):
        raise PayloadUnexpected("orders: a list expected")
    request_id = change.fields.get("request_id")
    return Demand(
        kind=change.kind,
        subject=clean_text(change.external_id),
        at=at,
        orders=tuple(clean_text(str(order))[:ID_CHARACTERS] for order in orders),
        request_id=None if request_id is None else clean_text(str(request_id)),
        of=None if change.kind != INQUIRY else str(change.fields["of"]),
    )
