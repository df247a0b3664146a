"""What a sync left out, as its progress and its result tell it: how much, and the first few by name.

Comes in: what no record could hold. Left behind: a line in the log for each that is named; the caller keeps the
progress. A process that dies in the middle leaves the progress of the last commit, and what follows is told again.
"""

from collections.abc import Sequence
from typing import Any, Final

from shared import logs
from shared.payload import clean_text
from workers.inbound.learn import LeftOut
from workers.sync.job import Job

NAMED: Final = 20
CHARACTERS: Final = 300
NONE: Final[dict[str, Any]] = {"count": 0, "named": []}

_log = logs.get("upstream")


def added(known: dict[str, Any] | None, left_out: Sequence[LeftOut], job: Job) -> dict[str, Any]:
    """`{"count", "named": [{"kind", "externalId", "reason"}]}` after more was left out; `known` is not changed."""
    known = known or NONE
    named = list(known["named"])
    for one in left_out[: max(0, NAMED - len(named))]:
        # Cleaned, for what no record can hold may be what no JSON in PostgreSQL can hold either.
        external_id, reason = (clean_text(words)[:CHARACTERS] for words in (one.external_id, one.reason))
        named.append({"kind": one.kind, "externalId": external_id, "reason": reason})
        _log.warning(
            "sync.left_out",
            kind=one.kind,
            external_id=external_id,
            reason=reason,
            integration_id=str(job.claim.integration_id),
        )
    return {"count": known["count"] + len(left_out), "named": named}
