"""/api/admin/accounts: the merchants. For keys that reach every account; a superuser makes new ones.

Every write is one transaction with its audit row.
"""

from uuid import UUID

from flask import Response
from pydantic import Field

from shared import accounts
from shared.db.engine import transaction
from shared.errors import NotFound
from shared.states import Role
from web.api.noun import noun
from web.auth import Account, needs, scope
from web.context import here
from web.shapes import Answer, Form, IdPath, Instant, PageQuery, Pagination, Shape, answer, page

api = noun("Accounts", "The merchants that own everything else.", at="/api/admin/accounts")


class CreateAccount(Form):
    """A new account."""

    slug: str = Field(description="Its name in X-Admin-ID: a-z, 0-9 and hyphens.")
    title: str = Field("", description="For people; empty: the slug.")


class UpdateAccount(Form):
    """What is to change."""

    title: str


class AccountShape(Shape):
    """A merchant."""

    id: UUID
    slug: str
    title: str
    created_at: Instant


class AccountAnswer(Answer):
    """One account."""

    account: AccountShape


class AccountsAnswer(Answer):
    """A page of accounts."""

    accounts: list[AccountShape]
    pagination: Pagination


@api.get("", responses={"200": AccountsAnswer})
@needs(Role.VIEWER, Account.NONE)
def list_accounts(query: PageQuery) -> Response:
    """List accounts, newest first."""
    with transaction(here().engine) as connection:
        rows = accounts.list_accounts(connection, before=query.cursor, limit=query.limit + 1)
    shown, pagination = page(rows, limit=query.limit)
    return answer(AccountsAnswer.model_validate({"accounts": shown, "pagination": pagination}))


@api.post("", responses={"201": AccountAnswer})
@needs(Role.SUPERUSER, Account.NONE)
def create_account(body: CreateAccount) -> Response:
    """Create an account."""
    now = here().now()
    with transaction(here().engine) as connection:
        row = accounts.create(connection, slug=body.slug, title=body.title, now=now)
        scope().note(connection, "account.created", row["id"], detail={"slug": row["slug"]}, now=now)
    return answer(AccountAnswer(account=AccountShape.model_validate(row)), 201)


@api.get("/<id>", responses={"200": AccountAnswer})
@needs(Role.VIEWER, Account.ANY)
def get_account(path: IdPath) -> Response:
    """Show an account, by id or slug; a key that belongs to one sees that one."""
    with transaction(here().engine) as connection:
        row = accounts.get(connection, path.id)
    if scope().account not in (None, row["id"]):
        raise NotFound("account")
    return answer(AccountAnswer(account=AccountShape.model_validate(row)))


@api.patch("/<id>", responses={"200": AccountAnswer})
@needs(Role.SUPERUSER, Account.NONE)
def update_account(path: IdPath, body: UpdateAccount) -> Response:
    """Give an account a new title."""
    now = here().now()
    with transaction(here().engine) as connection:
        row = accounts.retitle(connection, path.uuid("account"), title=body.title)
        scope().note(connection, "account.updated", row["id"], detail={"title": row["title"]}, now=now)
    return answer(AccountAnswer(account=AccountShape.model_validate(row)))
