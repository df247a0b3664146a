"""Forgets a person, or a whole shop: `erase` does the next step of one open row of `erasures`.

Comes in: an open row. Left behind, each step one transaction: records without what was personal, no event and no raw
message about them, nothing more owed of those, and at last the row done, its counts, and an entry in the audit log as
proof. A process that dies in the middle leaves whole steps; the next call goes on with what is left.

A person's records stay as tombstones or as orders without a person, marked so that nothing later brings the person back
(the guard of workers/inbound). A shop's records go altogether: should it ever connect again, it begins anew. Either is
looked for twice, so that a drain that overlaps with the first look brings nothing in behind it (`fence`), and again for
as long as a look finds something: whoever saw that before it was gone may be about to add to it, or to show it.
"""

from collections import Counter
from datetime import datetime
from enum import Enum, auto
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, select, update

from shared import alerts, audit, documents
from shared.db.engine import transaction
from shared.db.tables import erasures, exports
from shared.privacy import WHOLE_SHOP
from shared.record_kinds import KINDS
from workers.context import Context
from workers.privacy import fence
from workers.privacy.erase_messages import erase_messages
from workers.privacy.erase_records import erase_person, erase_rest, erase_shop_batch
from workers.privacy.export import remove
from workers.privacy.merged import merged
from workers.sync import document_store
from workers.sync.upstream import Upstream

# Rows one transaction takes: a few tens of milliseconds of work.
BATCH: Final = 500
ERASURE_FAILING: Final = "erasure.failing"  # an alert, for as long as something of it cannot be removed


class Step(Enum):
    """What comes after a step."""

    MORE = auto()  # the next one
    WAIT = auto()  # the next one, once others have finished what they began before
    DONE = auto()  # nothing, or another worker is at it


def erase(context: Context, request_id: UUID, *, now: datetime) -> Step:
    """Do the next step; what comes after it.

    Raises:
        UpstreamFailed: the folder or bucket of documents would not let a shop's go; nothing was done.
        OSError: the file of an export cannot be removed; this step was not done.
    """
    query = select(erasures).where(erasures.c.id == request_id, erasures.c.state == "requested")
    paths = _remove_documents(context, request_id)  # before the transaction, since a bucket is across the network
    with transaction(context.engine) as connection:
        row = connection.execute(query.with_for_update(skip_locked=True)).mappings().one_or_none()
        if row is None:
            return Step.DONE
        request = dict(row)
        counts = Counter({name: int(count) for name, count in request["counts"].items()})
        if paths:
            counts["documents"] += documents.forget(connection, paths)
        step = _step(connection, context, request, counts, now=now)
        values: dict[str, Any] = {"counts": dict(counts), "orders": request["orders"], "fence": request["fence"]}
        if step is Step.DONE:
            values |= {"state": "done", "finished_at": now}
            _prove(connection, request, counts, now=now)
            alerts.resolve(connection, kind=ERASURE_FAILING, subject_id=request_id, now=now)
        connection.execute(update(erasures).where(erasures.c.id == request_id).values(**values))
    return step


def _remove_documents(context: Context, request_id: UUID) -> list[str]:
    """The documents of the shop that is to be forgotten whole, now removed from wherever they were written.

    None of a person's, for no document is of one.
    """
    query = select(erasures).where(erasures.c.id == request_id, erasures.c.state == "requested")
    with transaction(context.engine) as connection:
        row = connection.execute(query).mappings().one_or_none()
        if row is None or row["subject"] != WHOLE_SHOP or not row["tenant"]:
            return []
        account_id = row["account_id"]
        paths = documents.paths_below(connection, f"users/{account_id}/{row['provider']}/{row['tenant']}/")
    upstream = Upstream(context.settings, context.client)
    for path in paths:
        document_store.remove(upstream, path, account_id=account_id)
    return paths


def _step(
    connection: Connection, context: Context, request: dict[str, Any], counts: Counter[str], *, now: datetime
) -> Step:
    """Do one step. Adds to `counts` what was erased, and to the request the orders it found and its fence."""
    if request["fence"] is None:
        if not _look(connection, request, counts, now=now):
            request["fence"] = fence.make(connection)
        return Step.MORE
    if not fence.is_passed(connection, request["fence"]):
        return Step.WAIT
    if _look_again(connection, request, counts, now=now):
        request["fence"] = None
        return Step.MORE
    of_messages = erase_messages(connection, request, limit=BATCH)
    counts["messages"] += of_messages.emptied
    if of_messages.emptied < of_messages.found:
        return Step.MORE if of_messages.emptied else Step.WAIT
    if of_messages.found == BATCH:
        return Step.MORE
    counts["files"] += _erase_files(connection, context, request)
    return Step.DONE


def _look(connection: Connection, request: dict[str, Any], counts: Counter[str], *, now: datetime) -> bool:
    """Whether the first look, or a batch of a shop's, found something to do: the next is another transaction's."""
    if request["subject"] == WHOLE_SHOP:
        return any(erase_shop_batch(connection, kind, request, counts, limit=BATCH, now=now) for kind in KINDS.values())
    if "users" in counts:
        return False
    erase_person(connection, request, counts, now=now)
    return True


def _look_again(connection: Connection, request: dict[str, Any], counts: Counter[str], *, now: datetime) -> bool:
    """Whether a look behind the fence found something that the ones before it did not."""
    if request["subject"] == WHOLE_SHOP:
        return _look(connection, request, counts, now=now)
    return erase_rest(connection, request, counts, now=now)


def _erase_files(connection: Connection, context: Context, request: dict[str, Any]) -> int:
    """How many exports of the same person there were, which are as personal as what they were made of.

    One that is not done may have a file as well, of a process that died over it.
    """
    mine = (
        exports.c.account_id == request["account_id"],
        exports.c.provider == request["provider"],
        exports.c.tenant == request["tenant"],
    )
    query = select(exports.c.id, exports.c.path).where(*mine)
    if request["subject"] != WHOLE_SHOP:  # what was asked for under a name that was given up since is theirs too
        query = query.where(exports.c.subject.in_([request["subject"], *merged(connection, request)]))
    found = connection.execute(query.order_by(exports.c.id).with_for_update()).all()
    for row in found:
        remove(context.settings.data_dir, row.id)
    made = [row.id for row in found if row.path is not None]
    connection.execute(update(exports).where(exports.c.id.in_(made)).values(path=None))
    return len(made)


def _prove(connection: Connection, request: dict[str, Any], counts: Counter[str], *, now: datetime) -> None:
    audit.record(
        connection,
        account_id=request["account_id"],
        actor="system",
        action="erasure.done",
        subject_kind="erasure",
        subject_id=request["id"],
        detail={
            "provider": request["provider"],
            "tenant": request["tenant"],
            "customer": request["subject"],
            "erased": dict(counts),
        },
        now=now,
    )
