"""Recovery, every minute: gives back what dead processes held and brings the ingress's directory back to the truth.

Comes in: the tables. Left behind: expired leases returned to the due, and a directory in Valkey that equals the tables.
Dying in the middle leaves the rest to the next minute.
"""

from datetime import datetime

from shared import directory, orders
from shared.db.engine import transaction
from workers.context import Context
from workers.delivery.leases import sweep


def recover(context: Context, *, now: datetime) -> dict[str, int]:
    """What was put right: `{"expired": leases given back, "published": 1 if the directory was out of date}`.

    The directory is out of date when a process died between its commit and its publish, or when Valkey lost its
    data; one that is right is left alone, since each new version makes every ingress read it again.

    Raises:
        QueueUnavailable: Valkey cannot be reached; the leases were given back all the same.
    """
    with transaction(context.engine) as connection:
        expired = sweep(connection, now=now)
    if expired:
        orders.wake_dispatch(context.settings, context.client)
    with transaction(context.engine) as connection:
        wanted = directory.snapshot(connection)
    published = not directory.is_published(wanted, context.client)
    if published:
        with transaction(context.engine) as connection:
            directory.publish(connection, context.client)
    return {"expired": expired, "published": int(published)}
