"""Confirms the SNS topics that ask whether to post to a source, and that it allows: `upstream.confirm`.

Comes in: open alerts about topics that wait, each raised by the drain with the message that asks. Left behind: the
topic confirmed at SNS, the alert resolved, a line in the audit log; or the alert with what is in the way. A worker that
dies in between asks SNS again, to which that is the same.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import Connection, text

from shared import alerts, audit, logs
from shared.db.engine import transaction
from shared.egress.calls import Reply
from shared.errors import CrossdockError
from shared.providers import options, sns
from shared.providers.amazon import AmazonOptions
from workers.context import Context
from workers.sync.upstream import Upstream, UpstreamFailed

AT_ONCE: Final = 20
# Source: docs.aws.amazon.com/sns, ConfirmSubscription, read 2026-11: a token is good for three days.
TOKEN_HOLDS: Final = timedelta(days=3)

Ask = Callable[[str], Reply]  # raises UpstreamFailed

# An alert that says why it cannot be done waits for a person; the message, sent or replayed again, starts anew.
_WAITING = text("""
SELECT a.id, a.account_id, a.subject_id AS message_id, m.source_id, m.body, m.received_at, s.settings
FROM alerts a
JOIN messages m ON m.id = a.subject_id
JOIN sources s ON s.id = m.source_id AND s.active AND s.provider = 'amazon'
WHERE a.kind = :kind AND a.resolved_at IS NULL AND NOT a.detail ? 'failure'
ORDER BY a.id LIMIT :limit
""")
# Whatever was said of the topic before holds no more, a later farewell does.
_RESOLVE = text("""
UPDATE alerts SET resolved_at = :now
WHERE kind IN (:waiting, :gone) AND resolved_at IS NULL AND subject_id <= CAST(:message_id AS uuid)
  AND detail->>'topic' = :topic AND detail->>'sourceId' = :source_id
""")

_log = logs.get("upstream")


class NotConfirmable(CrossdockError):
    """Raised when a topic is not to be confirmed, or cannot be any more; the text is for people."""


@dataclass(frozen=True, slots=True)
class _Question:
    alert_id: UUID
    account_id: UUID
    message_id: UUID
    source_id: UUID
    topic: str
    url: str  # "" with a failure
    failure: str


def confirm(context: Context, *, now: datetime, ask: Ask | None = None) -> dict[str, int]:
    """Confirm what waits: `{"confirmed", "failed", "waiting"}`. Idempotent."""
    if ask is None:
        upstream = Upstream(context.settings, context.client)

        def ask(url: str) -> Reply:
            return upstream.call("sns confirm", "GET", url, headers={})

    counts = {"confirmed": 0, "failed": 0, "waiting": 0}
    with transaction(context.engine) as connection:
        values = {"kind": alerts.TOPIC_UNCONFIRMED, "limit": AT_ONCE}
        questions = [_question(row, now) for row in connection.execute(_WAITING, values).mappings()]
    for question in questions:
        word = _answer(context, question, ask, now)
        counts[word] += 1
        _log.info("topic.asked", became=word, topic=question.topic, source_id=str(question.source_id))
    return counts


def _question(row: Any, now: datetime) -> _Question:
    topic, url, failure = "", "", ""
    try:
        body = orjson.loads(bytes(row["body"] or b""))
        topic = str(body["TopicArn"])
        url = _url(topic, str(body["Token"]), row, now)
    except (orjson.JSONDecodeError, KeyError, TypeError):
        failure = "The message is not kept, or is not SNS's."
    except NotConfirmable as error:
        failure = str(error)
    return _Question(row["id"], row["account_id"], row["message_id"], row["source_id"], topic, url, failure)


def _url(topic: str, token: str, row: Any, now: datetime) -> str:
    # Asked again of the settings as they are now: the message may have come before they were changed.
    chosen = options.read(AmazonOptions, row["settings"])
    if chosen is None or topic not in chosen.topic_arns:
        raise NotConfirmable("The topic is not one of the source's topicArns.")
    if now - row["received_at"] > TOKEN_HOLDS:
        raise NotConfirmable("The token has run out; subscribe the source's URL again.")
    url = sns.confirmation_url(topic, token)
    if url is None:
        raise NotConfirmable("The token is malformed.")
    return url


def _answer(context: Context, question: _Question, ask: Ask, now: datetime) -> str:
    failure = question.failure
    if not failure:
        try:
            ask(question.url)
        except UpstreamFailed as error:
            if not error.is_final:
                return "waiting"
            failure = f"SNS did not confirm it: {error.message}."
    with transaction(context.engine) as connection:
        if failure:
            _give_up(connection, question, failure, now)
        else:
            _settle(connection, question, now)
    return "failed" if failure else "confirmed"


def _settle(connection: Connection, question: _Question, now: datetime) -> None:
    connection.execute(
        _RESOLVE,
        {
            "now": now,
            "waiting": alerts.TOPIC_UNCONFIRMED,
            "gone": alerts.TOPIC_DISCONNECTED,
            "message_id": str(question.message_id),
            "topic": question.topic,
            "source_id": str(question.source_id),
        },
    )
    audit.record(
        connection,
        account_id=question.account_id,
        actor="system",
        action="source.topic_confirmed",
        subject_kind="source",
        subject_id=question.source_id,
        reason="SNS asked, and the source's topicArns name it",
        detail={"topic": question.topic, "messageId": str(question.message_id)},
        now=now,
    )


def _give_up(connection: Connection, question: _Question, failure: str, now: datetime) -> None:
    alerts.raise_alert(
        connection,
        account_id=question.account_id,
        kind=alerts.TOPIC_UNCONFIRMED,
        severity="error",
        subject_id=question.message_id,
        message=f"{question.topic or 'A topic'} is not confirmed. {failure}",
        detail={"topic": question.topic, "sourceId": str(question.source_id), "failure": failure},
        now=now,
    )
