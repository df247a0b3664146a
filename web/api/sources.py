"""/api/admin/sources: the paths that providers post to, and the secrets they sign with.

Every write is one transaction with its audit row, and the ingress is told after its commit. A secret that was made here
is shown once; one that was given is never shown.
"""

from typing import Any
from uuid import UUID

from flask import Response
from pydantic import Field, SecretStr

from shared import sources, trials
from shared.db.engine import transaction
from shared.states import Role
from web.api.noun import noun
from web.api.trial_shapes import Tried, TriedAnswer, TrySource
from web.api.webhook_shapes import Secret
from web.auth import needs, scope
from web.context import here, publish_directory
from web.shapes import Answer, Done, Form, IdPath, Instant, PageQuery, Pagination, Shape, answer, page

NOUN = "source"

api = noun("Sources", "The paths that providers post to.", at="/api/admin/sources")


class SourceFields(Form):
    """What can be set on a source."""

    name: str = Field("", description="For people.")
    any_tenant: bool = Field(False, description="Take any shop; otherwise it must be one of the integrations.")
    settings: dict[str, Any] = Field(
        {}, description="The provider's own, e.g. the scheme of `generic`, and `anyContentType`, which all have."
    )
    allowed_topics: list[str] | None = Field(None, description="Topics that are wanted; null: all.")
    rate_per_second: int | None = Field(None, description="Most messages a second; null: no limit.")


class CreateSource(SourceFields):
    """A new source."""

    provider: str = Field(description="shopify, robaws, generic, ...")
    path: str = Field("", description="Below /api/webhooks/; empty: the provider's name.")
    secrets: list[SecretStr] = Field([], description="What it is signed with, newest first; empty: one is made.")


class UpdateSource(SourceFields):
    """What is to change; what is absent stays."""


class RotateSource(Form):
    """The new secret, and how long the old ones go on."""

    secret: SecretStr | None = Field(None, description="Null: one is made.")
    overlap_seconds: float = Field(86_400, description="Until then the old ones count as well.")


class Source(Shape):
    """A path that a provider posts to."""

    id: UUID
    provider: str
    path: str
    url: str = Field(description="Where the provider posts to.")
    name: str
    active: bool
    any_tenant: bool
    settings: dict[str, Any]
    secrets: list[Secret] = Field(description="Newest first, without what they are.")
    allowed_topics: list[str] | None
    rate_per_second: int | None
    created_at: Instant
    updated_at: Instant


class SourceAnswer(Answer):
    """One source."""

    source: Source


class SourceMadeAnswer(Answer):
    """One source and, once, the secret that was made for it."""

    source: Source
    secret: str | None = Field(description="What to sign with; null where it was given. It is not shown again.")


class SourcesAnswer(Answer):
    """A page of sources."""

    sources: list[Source]
    pagination: Pagination


@api.get("", responses={"200": SourcesAnswer})
@needs(Role.VIEWER)
def list_sources(query: PageQuery) -> Response:
    """List sources, newest first."""
    with transaction(here().engine) as connection:
        rows = sources.list_sources(
            connection, account_id=scope().account_id, before=query.cursor, limit=query.limit + 1
        )
    shown, pagination = page(rows, limit=query.limit)
    return answer(SourcesAnswer.model_validate({"sources": [_source(row) for row in shown], "pagination": pagination}))


@api.post("", responses={"201": SourceMadeAnswer})
@needs(Role.ADMIN)
def create_source(body: CreateSource) -> Response:
    """Create a source; where its secret is made here, the answer has it, and it is not shown again."""
    context, now = here(), here().now()
    given = body.given() | {"secrets": [secret.get_secret_value() for secret in body.secrets]}
    with transaction(context.engine) as connection:
        row, secret = sources.create(connection, context.ring, account_id=scope().account_id, now=now, **given)
        detail = {"provider": row["provider"], "path": row["path"]}
        scope().note(connection, "source.created", row["id"], detail=detail, now=now)
    publish_directory()
    return answer(SourceMadeAnswer(source=_source(row), secret=secret), 201)


@api.get("/<id>", responses={"200": SourceAnswer})
@needs(Role.VIEWER)
def get_source(path: IdPath) -> Response:
    """Show a source."""
    with transaction(here().engine) as connection:
        row = sources.get(connection, path.uuid(NOUN), account_id=scope().account_id)
    return answer(SourceAnswer(source=_source(row)))


@api.patch("/<id>", responses={"200": SourceAnswer})
@needs(Role.ADMIN)
def update_source(path: IdPath, body: UpdateSource) -> Response:
    """Change a source; what is not sent stays as it is."""
    return _changed(path, body.given(), "updated")


@api.post("/<id>/enable", responses={"200": SourceAnswer})
@needs(Role.OPERATOR)
def enable_source(path: IdPath) -> Response:
    """Take in what is posted to a source."""
    return _changed(path, {"active": True}, "enabled")


@api.post("/<id>/disable", responses={"200": SourceAnswer})
@needs(Role.OPERATOR)
def disable_source(path: IdPath) -> Response:
    """Answer 403 to what is posted to a source."""
    return _changed(path, {"active": False}, "disabled")


@api.post("/<id>/rotate", responses={"200": SourceMadeAnswer})
@needs(Role.ADMIN)
def rotate_source(path: IdPath, body: RotateSource) -> Response:
    """Give a source a new secret; the old ones count until the overlap ends."""
    context, now = here(), here().now()
    with transaction(context.engine) as connection:
        row, secret = sources.rotate(
            connection,
            context.ring,
            path.uuid(NOUN),
            account_id=scope().account_id,
            secret=body.secret.get_secret_value() if body.secret else None,
            overlap_seconds=body.overlap_seconds,
            now=now,
        )
        detail = {"overlapSeconds": body.overlap_seconds}
        scope().note(connection, "source.rotated", row["id"], detail=detail, now=now)
    publish_directory()
    return answer(SourceMadeAnswer(source=_source(row), secret=secret))


@api.post("/<id>/try", responses={"200": TriedAnswer})
@needs(Role.OPERATOR)
def try_source(path: IdPath, body: TrySource) -> Response:
    """Try a request out: whether it is genuine, what it would be and change. Nothing is stored or sent."""
    context = here()
    with transaction(context.engine) as connection:
        trial = trials.try_out(
            connection,
            context.ring,
            path.uuid(NOUN),
            body.request(),
            account_id=scope().account_id,
            public_url=_public_url(),
            settings=body.settings,
            now=context.now(),
        )
    return answer(TriedAnswer(trial=Tried.model_validate(trial.as_dict())))


@api.delete("/<id>", responses={"200": Done})
@needs(Role.ADMIN)
def delete_source(path: IdPath) -> Response:
    """Delete a source and its integrations; what came in through it stays until its time is up."""
    now = here().now()
    with transaction(here().engine) as connection:
        sources.remove(connection, path.uuid(NOUN), account_id=scope().account_id)
        scope().note(connection, "source.deleted", path.uuid(NOUN), now=now)
    publish_directory()
    return answer(Done())


def _changed(path: IdPath, changes: dict[str, Any], deed: str) -> Response:
    now = here().now()
    with transaction(here().engine) as connection:
        row = sources.change(connection, path.uuid(NOUN), account_id=scope().account_id, changes=changes, now=now)
        scope().note(connection, f"source.{deed}", row["id"], detail=_told(changes), now=now)
    publish_directory()
    return answer(SourceAnswer(source=_source(row)))


def _told(changes: dict[str, Any]) -> dict[str, Any]:
    """What the audit log is told of a change: a provider's own settings may hold credentials."""
    return {name: value if name != "settings" else "changed" for name, value in changes.items()}


def _source(row: dict[str, Any]) -> Source:
    return Source.model_validate({**row, "url": f"{_public_url()}/api/webhooks/{row['path']}"})


def _public_url() -> str:
    settings = here().settings
    return settings.public_url.rstrip("/") or f"http://{settings.ingress_host}:{settings.ingress_port}"
