"""What the database says of a run, for the reconciling.

Nothing is left behind.
"""

from collections.abc import Sequence

from sqlalchemy import text

from bench.rig import Receiver, Sent
from bench.stack import Stack
from shared import queues


def counts(stack: Stack, sent: Sequence[Sent], receiver: Receiver) -> dict[str, int]:
    """Every count of one run, as `figures.discrepancies` wants them. The receiver must have ended.

    `refused` are the answers other than 200, and those that never came.
    """
    with stack.engine.connect() as connection:
        messages = connection.execute(text("SELECT count(*) FROM messages")).scalar_one()
        events = connection.execute(text("SELECT count(*) FROM events")).scalar_one()
        rows = connection.execute(text("SELECT state, count(*) FROM deliveries GROUP BY state")).all()
    states = {state: int(count) for state, count in rows}
    return seen_outside(sent, receiver) | {
        "messages": int(messages),
        "events": int(events),
        "deliveries": sum(states.values()),
        "delivered": states.get("delivered", 0),
        "failed": states.get("dead", 0) + states.get("discarded", 0),
        "waiting": states.get("pending", 0) + states.get("leased", 0) + states.get("held", 0),
    }


def seen_outside(sent: Sequence[Sent], receiver: Receiver) -> dict[str, int]:
    """Those counts that need no database: what the sender and the receiver saw."""
    accepted = sum(one.status == 200 for one in sent)
    return {
        "sent": len(sent),
        "accepted": accepted,
        "refused": len(sent) - accepted,
        "received_unique": receiver.unique,
        "received_duplicate": receiver.duplicates,
    }


def unsettled(stack: Stack) -> int:
    """Webhooks and deliveries that are still on their way: in the inbox, or pending and due, or in flight."""
    with stack.client as client:
        inbox = sum(int(client.xlen(queues.inbox(shard))) for shard in range(stack.settings.inbox_shards))
    with stack.engine.connect() as connection:
        owed = connection.execute(text("SELECT count(*) FROM deliveries WHERE state IN ('pending', 'leased')"))
        return inbox + int(owed.scalar_one())
