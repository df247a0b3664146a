"""Records, the catalogue and privacy requests through the real command line."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import jsonschema
import pytest
from click.testing import CliRunner
from sqlalchemy import Engine

from cli.events_page import example, page, short_schema
from cli.main import main
from shared.clock import utc_now
from shared.event_schemas import record_schema
from shared.event_types import CATALOGUE
from shared.record_kinds import KINDS
from tests.cli.conftest import Run, Told
from tests.web.api.record_rows import record

PAGE = Path(__file__).parents[2] / "docs" / "events.md"


@pytest.fixture
def account(told: Told) -> dict[str, Any]:
    made: dict[str, Any] = told("accounts", "create", "acme", "--title", "Acme Ltd")
    return made


def test_the_page_of_events_is_what_the_code_says() -> None:
    assert PAGE.read_text() == page(), "run: crossdock catalogue list --markdown > docs/events.md"


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_example_keeps_to_the_schema_that_is_shown_with_it(name: str) -> None:
    example, schema = (
        json.loads(CliRunner().invoke(main, ["catalogue", "show", name, *more]).stdout) for more in ((), ("--schema",))
    )
    jsonschema.validate(example, schema)
    assert example["event"] == name


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_example_keeps_to_the_schema_on_the_page_with_those_of_the_records(name: str) -> None:
    schema = short_schema(name) | {"$defs": {kind.name: record_schema(kind) for kind in KINDS.values()}}
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(example(name), schema)
    wrong = example(name)
    wrong["data"].pop(next(iter(CATALOGUE[name].data)))
    with pytest.raises(jsonschema.ValidationError, match="is a required property"):
        jsonschema.validate(wrong, schema)


def test_changes_are_there_unless_the_type_is_of_new_records_too() -> None:
    optional = {name for name in CATALOGUE if "| `changes` | optional |" in section(name)}
    assert optional == {"inventory.updated", "payment.updated"}
    assert {name for name in CATALOGUE if "| `changes` | required |" in section(name)} == {
        name for name, kind in CATALOGUE.items() if "changes" in kind.data
    } - optional


def section(name: str) -> str:
    return PAGE.read_text().split(f"\n### {name}\n", 1)[1].split("\n### ", 1)[0]


def test_an_event_type_that_is_not_there_is_not_found(run: Run) -> None:
    assert "event_type_not_found" in run("catalogue", "show", "order.eaten").stderr


def test_records_are_listed_by_kind_and_shown(told: Told, run: Run, engine: Engine, account: dict[str, Any]) -> None:
    made = record(engine, UUID(account["id"]), "order", now=utc_now(), number="#1001", total_minor=4200)
    [listed] = told("records", "list", "orders", "--account", "acme")
    assert (listed["id"], listed["number"], listed["totalMinor"]) == (str(made), "#1001", 4200)
    assert told("records", "show", "orders", str(made)) == listed
    assert told("records", "list", "products") == []
    assert "#1001" in run("records", "list", "orders").stdout


def test_an_export_and_an_erasure_are_asked_for_and_noted(told: Told, run: Run, account: dict[str, Any]) -> None:
    words = ("7", "--provider", "shopify", "--tenant", "acme.myshopify.com")
    export = told("exports", "ask", *words)
    erasure = told("erasures", "ask", *words, "--order", "900", "--reason", "her letter", "--yes")
    assert (export["state"], erasure["state"], erasure["orders"]) == ("requested", "requested", ["900"])
    assert [row["id"] for row in told("exports", "list", "--state", "requested")] == [export["id"]]
    assert [row["id"] for row in told("erasures", "list")] == [erasure["id"]]


def test_an_erasure_is_asked_about_first(run: Run, told: Told, account: dict[str, Any]) -> None:
    result = run("erasures", "ask", "*", "--provider", "shopify")
    assert result.exit_code == 1
    assert "cannot be taken back" in result.stdout + result.stderr
    assert told("erasures", "list") == []
