"""The names that the halves call each other by: Valkey keys, Celery queues and task names.

Nothing is left behind by importing this.
"""

from typing import Final

# Valkey keys. All begin with `crossdock:`; Celery's own are apart.
DIRECTORY: Final = "crossdock:sources"  # hash: source path -> sealed JSON
DIRECTORY_VERSION: Final = "crossdock:sources:version"  # rises with every change of the directory
REFUSALS: Final = "crossdock:refusals"  # stream, bounded
COUNTERS: Final = "crossdock:counters"  # hash: what Prometheus shows; losing it costs history, nothing else
DISPATCH_WAKE: Final = "crossdock:wake:dispatch"  # raised while a dispatch order is on its way
BEAT: Final = "crossdock:beat"  # Unix seconds of the last tick, for doctor and Prometheus
SQS_POLLER: Final = "crossdock:sqs-poller"  # raised, with who it is, while one worker polls the SQS queues
SWEEP: Final = "crossdock:sweep"  # raised for as long as expired leases need no new look
GROUP: Final = "drain"  # the consumer group of every inbox stream


MOST_SHARDS: Final = (
    256  # of the inbox; whoever looks at all there is looks at so many, whatever the setting says today
)


def inbox(shard: int) -> str:
    """The stream of one shard of the inbox."""
    return f"crossdock:inbox:{shard}"


def large(shard: int) -> str:
    """Raised while a shard of the inbox holds large messages: few are read at once then."""
    return f"crossdock:inbox:{shard}:large"


def deaths(shard: int) -> str:
    """How many drains of the shard died over entries that had been taken before."""
    return f"crossdock:inbox:{shard}:deaths"


def drain_wake(shard: int) -> str:
    """Raised while a drain order for the shard is on its way."""
    return f"crossdock:wake:drain:{shard}"


def replay_wake(job_id: object) -> str:
    """Raised while an order for the next slice of a replay job is on its way."""
    return f"crossdock:wake:replay:{job_id}"


def oauth_state(digest: str) -> str:
    """What a browser was sent to a shop for, by the digest of its nonce; taken once."""
    return f"crossdock:oauth:{digest}"


def shop_session(digest: str) -> str:
    """The integration that a browser has connected, by the digest of its session cookie."""
    return f"crossdock:shop-session:{digest}"


def circuit(host: str) -> str:
    """Straight failures of an upstream host; past a number of them it is left alone until this is gone."""
    return f"crossdock:circuit:{host}"


def quota(whose: str) -> str:
    """The requests of the present window of an API's quota, by the digest of who asks it."""
    return f"crossdock:quota:{whose}"


# How long a raised flag is believed. An order that was lost with its worker is asked for again after this; one asked
# for twice costs a look.
WAKE_SECONDS: Final = 3

# Celery queues, one per worker of the Procfile.
INBOUND_QUEUE: Final = "inbound"
DELIVERY_QUEUE: Final = "delivery"
SYNC_QUEUE: Final = "sync"
UPSTREAM_QUEUE: Final = "upstream"  # slow calls to providers, apart from what beat waits for

# Task names, as Flower shows them.
DRAIN: Final = "inbound.drain"  # (shard: int)
DISPATCH: Final = "delivery.dispatch"  # ()
REPLAY_RUN: Final = "replay.run"  # (job_id: str)
TICK: Final = "maintenance.tick"  # every second: wake what is due
RECOVER: Final = "maintenance.recover"  # every minute: expired leases, the source directory
RETAIN: Final = "maintenance.retain"  # every hour: partitions ahead, retention behind
UPSTREAM_WORK: Final = "upstream.work"  # (): registrations, webhook tests and syncs that are due
UPSTREAM_CONFIRM: Final = "upstream.confirm"  # every half minute: topics of Amazon SNS that ask to be confirmed
UPSTREAM_POLL: Final = "upstream.poll"  # every five seconds: the SQS queues of Amazon sources
PRIVACY: Final = "privacy.run"  # every minute: exports and erasures that people have asked for
