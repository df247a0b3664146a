"""The tasks: shells without logic. Each opens this process's context, calls the function and returns short counts.

Every one is idempotent: lost, repeated or killed half-way it changes nothing that the next does not finish.
"""

from shared import queues
from shared.clock import utc_now
from workers.app import app
from workers.context import context
from workers.delivery.dispatch import dispatch
from workers.inbound.drain import drain
from workers.maintenance.recover import recover
from workers.maintenance.retain import retain
from workers.maintenance.tick import tick
from workers.privacy.run import run
from workers.replay import run_slice
from workers.sync.sns import confirm
from workers.sync.sqs import poll
from workers.sync.work import work


@app.task(name=queues.DRAIN)  # type: ignore[untyped-decorator]
def drain_shard(shard: int) -> dict[str, int]:
    """Drain one shard of the inbox."""
    return drain(context(), shard)


@app.task(name=queues.DISPATCH)  # type: ignore[untyped-decorator]
def dispatch_due() -> dict[str, int]:
    """Ship what is due."""
    return dispatch(context())


@app.task(name=queues.REPLAY_RUN)  # type: ignore[untyped-decorator]
def run_replay(job_id: str) -> dict[str, int | str]:
    """Do the next slice of a replay job."""
    return run_slice(context(), job_id, now=utc_now())


# Unseen by Flower, where one a second would push everything else off the page; `crossdock doctor` tells its age.
@app.task(name=queues.TICK, ignore_result=True, send_events=False)  # type: ignore[untyped-decorator]
def wake_due() -> dict[str, int]:
    """Wake what is due."""
    return tick(context(), now=utc_now())


@app.task(name=queues.RECOVER)  # type: ignore[untyped-decorator]
def recover_lost() -> dict[str, int]:
    """Give back expired leases and publish the directory of sources."""
    return recover(context(), now=utc_now())


@app.task(name=queues.RETAIN)  # type: ignore[untyped-decorator]
def retain_recent() -> dict[str, int]:
    """Make the coming partitions and drop what is past its time."""
    return retain(context(), now=utc_now())


@app.task(name=queues.PRIVACY)  # type: ignore[untyped-decorator]
def run_privacy() -> dict[str, int]:
    """Make the exports and do the erasures that people have asked for."""
    return run(context(), now=utc_now())


@app.task(name=queues.UPSTREAM_WORK)  # type: ignore[untyped-decorator]
def work_upstream() -> dict[str, int]:
    """Do what is due at providers."""
    return work(context())


@app.task(name=queues.UPSTREAM_CONFIRM)  # type: ignore[untyped-decorator]
def confirm_topics() -> dict[str, int]:
    """Confirm the topics of Amazon SNS that ask and are allowed."""
    return confirm(context(), now=utc_now())


@app.task(name=queues.UPSTREAM_POLL)  # type: ignore[untyped-decorator]
def poll_queues() -> dict[str, int]:
    """Fetch what waits in the SQS queues of Amazon sources."""
    return poll(context())
