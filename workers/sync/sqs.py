"""Fetches what waits in the SQS queues of Amazon sources into the inbox: `upstream.poll`.

Comes in: an order to look; Amazon sends notifications to a queue rather than to us. Left behind: each message in the
inbox, fsynced, and only then deleted from its queue. A worker that dies in between leaves it in the queue, from where
it comes again, and the drain knows the repeat.
"""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

import orjson
import redis
from botocore.exceptions import BotoCoreError, ClientError
from sqlalchemy import Connection, text

from shared import alerts, integrations, logs, orders, queues, valkey
from shared.clock import utc_now
from shared.crypto import KeyRing
from shared.db.engine import transaction
from shared.errors import QueueUnavailable, SecretUndecipherable
from shared.ids import new_id
from shared.inbox import shard_of
from shared.providers import options
from shared.providers.amazon import SQS_ID_HEADER, AmazonOptions, SqsOptions
from shared.providers.contract import Headers, Request
from shared.settings import Settings
from workers import stopping
from workers.context import Context
from workers.sync import aws
from workers.sync.upstream import Upstream

AT_ONCE: Final = 16  # queues, a thread each
BATCH: Final = 10  # Source: docs.aws.amazon.com, ReceiveMessage, read 2026-11: ten at most
WAIT_SECONDS: Final = 5  # one long poll; short enough for a worker that is to stop
TIMEOUT_SECONDS: Final = 15.0
HOLD_SECONDS: Final = 60  # a poller that died is believed to be at work for so long
VISIBILITY_SECONDS: Final = 60  # how long a message that was fetched and not deleted stays away
FAILING: Final = "source.queue_failing"

_WANTED = text("""
SELECT s.id, s.account_id, s.settings, i.id AS integration_id, i.credentials
FROM sources s
LEFT JOIN LATERAL (
    SELECT id, credentials FROM integrations
    WHERE source_id = s.id AND state = 'active' AND credentials IS NOT NULL
    ORDER BY id DESC LIMIT 1
) i ON true
WHERE s.active AND s.provider = 'amazon' AND s.settings ? 'sqs' AND s.settings->>'sqs' IS NOT NULL
ORDER BY s.id
""")
_RELEASE: Final = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"

_log = logs.get("upstream")


@dataclass
class _Queue:
    """A source's queue, and what came of polling it."""

    source_id: UUID
    account_id: UUID
    options: SqsOptions
    keys: Mapping[str, str]
    fetched: int = 0
    failure: str = ""
    shards: set[int] = field(default_factory=set)  # that a drain is to be ordered for


def poll(context: Context, *, run_seconds: float | None = None, wait_seconds: int = WAIT_SECONDS) -> dict[str, int]:
    """Fetch until the time of one order is over: `{"queues", "fetched", "failed"}`; `{"busy": 1}` while another does.

    Raises:
        QueueUnavailable: Valkey cannot be reached, so nothing could be kept either.
    """
    holder = str(new_id())
    try:
        if not context.client.set(queues.SQS_POLLER, holder, nx=True, ex=HOLD_SECONDS):
            return {"busy": 1}
    except redis.RedisError as error:
        raise QueueUnavailable(str(error)) from error
    try:
        seconds = context.settings.dispatch_run_seconds if run_seconds is None else run_seconds
        return _poll_all(context, seconds, wait_seconds)
    finally:
        with suppress(redis.RedisError):
            context.client.eval(_RELEASE, 1, queues.SQS_POLLER, holder)


def _poll_all(context: Context, run_seconds: float, wait_seconds: int) -> dict[str, int]:
    with transaction(context.engine) as connection:
        wanted = [_queue(row, context.ring) for row in connection.execute(_WANTED).mappings()]
    if not wanted:
        return {"queues": 0, "fetched": 0, "failed": 0}
    end = time.monotonic() + run_seconds
    with ThreadPoolExecutor(min(AT_ONCE, len(wanted)), thread_name_prefix="sqs") as threads:
        polls = [threads.submit(_poll_one, context, one, end, wait_seconds) for one in wanted]
    with transaction(context.engine) as connection:
        for one in wanted:
            _tell(connection, one, utc_now())
    for ended in polls:
        ended.result()  # what nobody expected is ours, and raised once the others are told of
    return {
        "queues": len(wanted),
        "fetched": sum(one.fetched for one in wanted),
        "failed": sum(bool(one.failure) for one in wanted),
    }


def _queue(row: Any, ring: KeyRing) -> _Queue:
    chosen = options.read(AmazonOptions, row["settings"])
    found = chosen.sqs if chosen else None
    queue = _Queue(row["id"], row["account_id"], found or SqsOptions(queue_url="-", region="none"), {})
    if found is None:
        queue.failure = "the source's settings do not hold together"
        return queue
    try:
        sealed = row["credentials"]
        given = orjson.loads(ring.decrypt(sealed, place=integrations.place(row["integration_id"]))) if sealed else {}
    except SecretUndecipherable:
        given = {}
    names = ("accessKeyId", "secretAccessKey", "sessionToken")
    queue.keys = {name: str(given[name]) for name in names if given.get(name)}
    if not {"accessKeyId", "secretAccessKey"} <= queue.keys.keys():
        queue.failure = "no integration of the source has accessKeyId and secretAccessKey"
    return queue


def _poll_one(context: Context, queue: _Queue, end: float, wait_seconds: int) -> None:
    if queue.failure:
        return
    try:
        client = _client(
            context.settings,
            context.client,
            region=queue.options.region,
            endpoint_url=queue.options.endpoint_url or None,
            access_key_id=queue.keys["accessKeyId"],
            secret_access_key=queue.keys["secretAccessKey"],
            session_token=queue.keys.get("sessionToken"),
        )
        is_first = True
        while is_first or (time.monotonic() < end and not stopping.is_stopping()):
            is_first = False
            reply = client.receive_message(
                QueueUrl=queue.options.queue_url,
                MaxNumberOfMessages=BATCH,
                WaitTimeSeconds=max(0, min(wait_seconds, int(end - time.monotonic()))),
                VisibilityTimeout=VISIBILITY_SECONDS,
            )
            kept = _keep(context, queue, reply.get("Messages", []), utc_now())
            if kept:
                entries = [{"Id": str(at), "ReceiptHandle": handle} for at, handle in enumerate(kept)]
                client.delete_message_batch(QueueUrl=queue.options.queue_url, Entries=entries)
            if queue.failure:
                break
    except (BotoCoreError, ClientError) as error:
        queue.failure = f"asking AWS, {aws.why(error)}"
    except ValueError as error:
        queue.failure = f"AWS could not be asked: {type(error).__name__}"


@lru_cache(maxsize=64)  # making one reads a megabyte of descriptions; the keys are in memory either way
def _client(
    settings: Settings,
    valkey_client: valkey.Client,
    *,
    region: str,
    endpoint_url: str | None,
    access_key_id: str,
    secret_access_key: str,
    session_token: str | None,
) -> Any:
    return aws.client(
        "sqs",
        Upstream(settings, valkey_client),
        region=region,
        access_key_id=access_key_id,
        secret_access_key=secret_access_key,
        session_token=session_token,
        endpoint_url=endpoint_url,
        timeout_seconds=TIMEOUT_SECONDS,
    )


def _keep(context: Context, queue: _Queue, messages: Sequence[Mapping[str, Any]], now: datetime) -> list[str]:
    """The receipt handles of what is in the inbox now; what is not stays in the queue."""
    kept: list[str] = []
    for message in messages:
        source_id = str(queue.source_id)
        try:
            appended = context.inbox.append(
                message_id=new_id(),
                source_id=source_id,
                tenant="",
                request=_request(queue, message),
                received_at=now,
                max_length=context.settings.inbox_max_length,
                rate_per_second=0,
            )
        except QueueUnavailable:
            queue.failure = "the inbox does not answer"
            break
        if appended.refused is not None:
            queue.failure = "the inbox is full"
            break
        kept.append(str(message["ReceiptHandle"]))
        queue.fetched += 1
        if appended.wake:
            orders.send(context.settings, queues.DRAIN, shard_of(source_id, "", context.settings.inbox_shards))
    return kept


def _request(queue: _Queue, message: Mapping[str, Any]) -> Request:
    """The message as if it had been posted."""
    name = queue.options.queue_url.rstrip("/").rpartition("/")[2]
    return Request(
        method="POST",
        path=f"/sqs/{name}",
        headers=Headers(
            [("content-type", "application/json"), (SQS_ID_HEADER, str(message.get("MessageId", "")))],
        ),
        body=str(message.get("Body", "")).encode("utf-8", "surrogatepass"),  # no UTF-8 then, and failed as such
    )


def _tell(connection: Connection, queue: _Queue, now: datetime) -> None:
    """An alert for as long as a queue cannot be polled."""
    _log.info("queue.polled", source_id=str(queue.source_id), fetched=queue.fetched, failure=queue.failure or None)
    if not queue.failure:
        alerts.resolve(connection, kind=FAILING, subject_id=queue.source_id, now=now)
        return
    alerts.raise_alert(
        connection,
        account_id=queue.account_id,
        kind=FAILING,
        severity="error",
        subject_id=queue.source_id,
        message=f"The SQS queue of the source cannot be polled: {queue.failure}.",
        detail={"queueUrl": queue.options.queue_url, "failure": queue.failure},
        now=now,
    )
