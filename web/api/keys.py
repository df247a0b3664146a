"""/api/admin/keys: API keys. The whole key is shown once, in the answer that made it.

An admin makes and revokes the keys of its own account, none stronger than its own; a superuser those of every account,
and those that reach every account, which it makes by naming none.
"""

from uuid import UUID

from flask import Response
from pydantic import Field

from shared import keys
from shared.db.engine import transaction
from shared.errors import Forbidden
from shared.states import Role
from web.api.noun import noun
from web.auth import Account, needs, scope
from web.context import here
from web.shapes import Answer, Form, IdPath, Instant, PageQuery, Pagination, Shape, answer, page

api = noun("Keys", "API keys.", at="/api/admin/keys")


class CreateKey(Form):
    """A new key."""

    name: str = Field(description="For people: who or what uses it.")
    role: Role = Field(Role.VIEWER, description="viewer, operator, admin or superuser; each may what the former may.")


class Key(Shape):
    """An API key, without itself."""

    id: UUID
    account_id: UUID | None = Field(description="Null: it reaches every account.")
    name: str
    prefix: str = Field(description="The part that is no secret.")
    role: Role
    created_at: Instant
    last_used_at: Instant | None = Field(description="To the minute.")
    revoked_at: Instant | None


class KeyWithText(Key):
    """An API key, which is shown this once."""

    key: str = Field(description="Save it: it is not shown again.")


class KeyAnswer(Answer):
    """One key."""

    key: Key


class KeyMadeAnswer(Answer):
    """One key, shown this once."""

    key: KeyWithText


class KeysAnswer(Answer):
    """A page of keys."""

    keys: list[Key]
    pagination: Pagination


@api.get("", responses={"200": KeysAnswer})
@needs(Role.ADMIN, Account.ANY)
def list_keys(query: PageQuery) -> Response:
    """List keys, newest first, revoked ones too; of every account when none is named."""
    with transaction(here().engine) as connection:
        rows = keys.list_keys(connection, account_id=scope().account, before=query.cursor, limit=query.limit + 1)
    shown, pagination = page(rows, limit=query.limit)
    return answer(KeysAnswer.model_validate({"keys": shown, "pagination": pagination}))


@api.post("", responses={"201": KeyMadeAnswer})
@needs(Role.ADMIN, Account.ANY)
def create_key(body: CreateKey) -> Response:
    """Make a key; the answer has it, and it is not shown again."""
    now = here().now()
    if not scope().principal.may(body.role):
        raise Forbidden("role_insufficient", "A key makes none that may do more than itself.")
    with transaction(here().engine) as connection:
        row, text = keys.create(connection, account_id=scope().account, name=body.name, role=body.role, now=now)
        detail = {"name": row["name"], "role": body.role, "prefix": row["prefix"]}
        scope().note(connection, "key.created", row["id"], detail=detail, now=now)
    return answer(KeyMadeAnswer(key=KeyWithText.model_validate({**row, "key": text})), 201)


@api.post("/<id>/revoke", responses={"200": KeyAnswer})
@needs(Role.ADMIN, Account.ANY)
def revoke_key(path: IdPath) -> Response:
    """Revoke a key; it counts no more from the next request on."""
    now = here().now()
    with transaction(here().engine) as connection:
        row = keys.revoke(connection, path.uuid("key"), account_id=scope().account, now=now)
        scope().note(connection, "key.revoked", row["id"], detail={"prefix": row["prefix"]}, now=now)
    return answer(KeyAnswer(key=Key.model_validate(row)))
