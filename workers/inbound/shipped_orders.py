"""Orders that a provider tells of through their shipments: what each one says is kept, and the order is what all say.

Comes in: an order's parts named `shipment_<id>`, each of which says what the order would be if that shipment were all
of it; and what became of shipments that name such orders in `attributes.orderIds`. Comes out: the order's own fields,
and what to tell the order of a shipment. Pure; a process that dies in the middle leaves nothing.

An order that goes in two is told of twice, each time with what is in the one shipment, and from then on only the
shipments are told of. What a shipment has stands in the order's attributes under `shipment:<id>`, what became of it
under `shipment_state:<id>`, each with a clock of its own: messages may come late, and in any order. An order is told of
through so many shipments and no more; the names of others are left out as what there is no room for.

| the shipments, but for cancelled ones     | status    | fulfillment_status |
|-------------------------------------------|-----------|--------------------|
| there are none, all were cancelled        | cancelled | unfulfilled        |
| none has gone, or no line is in one       | open      | unfulfilled        |
| some have gone                            | open      | partial            |
| all have gone                             | open      | fulfilled          |
| all have arrived                          | closed    | fulfilled          |
| all have come back                        | closed    | returned           |

A column that says something else than the shipments came to was told of the order itself, and is left to that.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from shared.clock import parse_instant
from shared.forms import BIGGEST, ID_CHARACTERS
from shared.record_changes import RecordChange
from shared.record_json import value_json
from shared.record_kinds import ORDER, SHIPMENT

Row = Mapping[str, Any]
Said = Mapping[str, Any]  # what one shipment says, by our JSON names

PART: Final = "shipment_"
_STATE_PART: Final = "state_of_shipment_"
_HAS, _STANDS = "shipment:", "shipment_state:"  # the keys of attributes
ORDER_IDS: Final = "orderIds"  # of a shipment's attributes: the orders that are told of through it
CANCEL_REASON: Final = "cancelReason"
_OPEN: Final = ("open", "unfulfilled")
# A shipment's status -> (status, fulfillment_status) of an order that is all in it; of any other it is open.
_OUTCOMES: Final[Mapping[str | None, tuple[str, str]]] = {
    "shipped": ("open", "fulfilled"),
    "in_transit": ("open", "fulfilled"),
    "out_for_delivery": ("open", "fulfilled"),
    "delivered": ("closed", "fulfilled"),
    "returned": ("closed", "returned"),
    "cancelled": ("cancelled", "unfulfilled"),
}
# A customer's order comes in a few. What is told of one is written down with what all others say each time; and a
# notification whose body nobody signed may name as many as its sender likes.
SHIPMENTS_MAX: Final = 100
_SUMMED: Final = ("quantity", "totalMinor", "shippingMinor")  # of a line that is in several shipments


def is_such(change: RecordChange) -> bool:
    """Whether it speaks of an order through a shipment."""
    return change.part is not None and change.kind is ORDER and change.part.startswith((PART, _STATE_PART))


def says_how_it_stands(change: RecordChange) -> bool:
    """Whether it is one of `consequences`, which no order begins with."""
    return change.part is not None and change.part.startswith(_STATE_PART)


def consequences(change: RecordChange, before: Row | None, after: Row) -> Iterator[RecordChange]:
    """What its orders are to hear of a shipment that has changed: that it has gone, arrived, or was cancelled."""
    if change.kind is not SHIPMENT or not (order_ids := _order_ids(after)):
        return
    known = before is not None and _order_ids(before) == order_ids
    was = _OUTCOMES.get(before["status"], _OPEN) if known and before is not None else _OPEN
    if (outcome := _OUTCOMES.get(after["status"], _OPEN)) == was:
        return
    version = after["version"] or change.version
    status, fulfillment_status = outcome
    fields: dict[str, Any] = {"status": status, "fulfillment_status": fulfillment_status}
    if status == "cancelled":
        reason = after["attributes"].get(CANCEL_REASON)
        fields |= {"cancelled_at": version, "cancel_reason": reason if isinstance(reason, str) else None}
    part = f"{_STATE_PART}{change.key.external_id}"
    for order_id in order_ids:
        yield RecordChange(ORDER, change.key._replace(external_id=order_id), "upsert", version, fields, part=part)


def _order_ids(row: Row) -> list[str]:
    """The orders that a shipment names; what else may stand there, in a provider's own words, names none."""
    found = row["attributes"].get(ORDER_IDS)
    return (
        [one for one in found if isinstance(one, str) and 0 < len(one) <= ID_CHARACTERS]
        if isinstance(found, list)
        else []
    )


def has_room(order: Row, change: RecordChange) -> bool:
    """Whether it is of a shipment that the order has been told of, or may yet be: further ones are left out."""
    shipment = _shipment_of(change)
    known = {name.partition(":")[2] for name in order["attributes"] if name.startswith((_HAS, _STANDS))}
    return shipment in known or len(known) < SHIPMENTS_MAX


def is_needed(name: str) -> bool:
    """Whether an order or a shipment follows from what stands in the attributes under this name."""
    return name in (ORDER_IDS, CANCEL_REASON) or name.startswith((_HAS, _STANDS))


def name_of(change: RecordChange) -> str:
    """The name in the order's attributes under which it is kept."""
    return f"{_STANDS if says_how_it_stands(change) else _HAS}{_shipment_of(change)}"


def _shipment_of(change: RecordChange) -> str:
    return (change.part or "").removeprefix(_STATE_PART if says_how_it_stands(change) else PART)


def kept(change: RecordChange) -> RecordChange:
    """The change as it is written down: what it says of the order, under its shipment."""
    said = {
        change.kind.json_names[name]: value_json(value)
        for name, value in change.fields.items()
        if name in change.kind.json_names and name != "attributes"
    }
    rest = change.fields.get("attributes", {})
    return replace(change, fields={"attributes": {**rest, name_of(change): said}})


def followed(before: Row | None, after: Row) -> dict[str, Any]:
    """The columns of an order that follow from what its shipments now say, where they are not as that already."""
    now, earlier = _Shipments(after["attributes"]), _Shipments({} if before is None else before["attributes"])
    own = _theirs(before, now.contents(), earlier.contents())
    if "currency" not in own and after["currency"] not in (None, now.contents().get("currency")):
        own = {}  # the order itself was told of in other money
    lines = {**after, **own}["line_items"]
    before_lines: list[Any] = [] if before is None else before["line_items"]
    own |= _theirs(before, now.states(lines), earlier.states(before_lines))
    return {column: value for column, value in own.items() if value != after[column]}


def _theirs(before: Row | None, now: Mapping[str, Any], earlier: Mapping[str, Any]) -> dict[str, Any]:
    """What they say of columns that nobody else has spoken of."""
    if before is None:
        return dict(now)
    blank = ORDER.blank
    return {
        column: value
        for column, value in now.items()
        if before[column] in (blank[column], earlier.get(column, blank[column]))
    }


class _Shipments:
    """What an order's attributes hold of its shipments, in the order in which these were made.

    Attributes are free, so nothing in them is taken to have any shape.
    """

    def __init__(self, attributes: Mapping[str, Any]) -> None:
        has = {name.removeprefix(_HAS): said for name, said in attributes.items() if name.startswith(_HAS)}
        made = sorted(has, key=lambda name: (str(attributes.get(f"{PART}{name}_at")), name))
        self.has: list[Said] = [has[name] for name in made if isinstance(has[name], Mapping)]
        stands = [attributes.get(f"{_STANDS}{name}") for name in made if isinstance(has[name], Mapping)]
        self.stands: list[Said] = [one if isinstance(one, Mapping) else {} for one in stands]
        self.gone = [one.get("fulfillmentStatus", _OPEN[1]) != _OPEN[1] for one in self.stands]
        self.cancelled = [one.get("status") == "cancelled" for one in self.stands]

    def contents(self) -> dict[str, Any]:
        """The columns that say what was ordered."""
        if not self.has:
            return {}
        found: dict[str, Any] = {"number": self._first("number"), "currency": self._first("currency")}
        if (word := self._first("financialStatus")) in ORDER.by_name["financial_status"].words:
            found["financial_status"] = word
        if (at := _instant(self._first("placedAt"))) is not None:
            found["placed_at"] = at
        lines = self._lines()
        found["total_minor"] = _sum(line.get("totalMinor") for line in lines)
        found["shipping_minor"] = _sum(line.pop("shippingMinor", None) for line in lines)
        return found | {"line_items": lines}

    def states(self, lines: list[Any]) -> dict[str, Any]:
        """The columns that say what became of it; a line that is in no shipment has yet to go."""
        if not self.has:
            return {}
        live = [one for one, is_off in zip(self.stands, self.cancelled, strict=True) if not is_off]
        known = {str(line.get("id")) for said in self.has for line in _lines_of(said)}
        is_whole = all(isinstance(line, Mapping) and str(line.get("id")) in known for line in lines)
        status, fulfillment_status = _outcome(live, is_whole=is_whole)
        found: dict[str, Any] = {"status": status, "fulfillment_status": fulfillment_status}
        last = max(self.stands, key=lambda one: str(one.get("cancelledAt") or "")) if status == "cancelled" else {}
        reason = last.get("cancelReason")
        found["cancel_reason"] = reason if isinstance(reason, str) else None
        return found | {"cancelled_at": _instant(last.get("cancelledAt"))}

    def _first(self, name: str) -> str | None:
        return next((value for said in self.has if isinstance(value := said.get(name), str)), None)

    def _lines(self) -> list[dict[str, Any]]:
        """The lines by their ids; one that is in several shipments is as much as is in them together.

        A cancelled shipment counts only where no other has the line: it was made anew.
        """
        found: dict[str, dict[str, Any]] = {}
        parts: dict[str, list[tuple[Said, bool, bool]]] = {}
        for said, gone, off in zip(self.has, self.gone, self.cancelled, strict=True):
            for line in _lines_of(said):
                parts.setdefault(str(line.get("id")), []).append((line, gone, off))
        for name, told in parts.items():
            live = [(line, gone) for line, gone, off in told if not off]
            counted = live or [told[-1][:2]]
            line = dict(counted[0][0])
            for amount in _SUMMED:
                if amount in line:
                    line[amount] = _sum(one.get(amount) for one, _ in counted)
            found[name] = line | {"status": _status_of_line([gone for _, gone in live])}
        return list(found.values())


def _outcome(live: list[Said], *, is_whole: bool) -> tuple[str, str]:
    if not live:
        return ("cancelled", "unfulfilled") if is_whole else _OPEN
    fulfilled = [one.get("fulfillmentStatus", _OPEN[1]) for one in live]
    if not any(word != _OPEN[1] for word in fulfilled):
        return _OPEN
    if not is_whole or _OPEN[1] in fulfilled:
        return "open", "partial"
    is_over = all(one.get("status") == "closed" for one in live)
    is_back = all(word == "returned" for word in fulfilled)
    return "closed" if is_over else "open", "returned" if is_back else "fulfilled"


def _status_of_line(gone: list[bool]) -> str | None:
    if not gone:
        return None  # cancelled
    return "fulfilled" if all(gone) else "partial" if any(gone) else "unfulfilled"


def _sum(amounts: Iterable[Any]) -> int | None:
    known = [amount for amount in amounts if isinstance(amount, int) and not isinstance(amount, bool)]
    return sum(known) if known and abs(sum(known)) <= BIGGEST else None


def _lines_of(said: Said) -> list[Mapping[str, Any]]:
    found = said.get("lineItems")
    return [line for line in found if isinstance(line, Mapping)] if isinstance(found, list) else []


def _instant(value: Any) -> datetime | None:
    return parse_instant(value) if isinstance(value, str) else None
