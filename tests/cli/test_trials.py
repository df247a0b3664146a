"""`crossdock sources try`: what a request would be, from a file or from standard input."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.cli.conftest import Run, Told

SETTINGS = {"topic": {"header": "X-Topic"}, "records": [{"kind": "article", "id": "no", "fields": {"stock": "left"}}]}


@pytest.fixture
def source(told: Told) -> dict[str, Any]:
    told("accounts", "create", "acme")
    made: dict[str, Any] = told(
        "sources", "add", "generic", "--secret", "s", "--settings", orjson.dumps(SETTINGS).decode()
    )
    return made


def test_a_body_from_a_file_is_tried(run: Run, told: Told, source: dict[str, Any], tmp_path: Path) -> None:
    body = tmp_path / "article.json"
    body.write_text('{"no": 7, "left": "2.5"}')
    words = ("sources", "try", source["id"], "--body", body, "--header", "X-Topic: article.changed")
    trial = told(*words)
    assert (trial["topic"], trial["state"], trial["refusal"]["code"]) == (
        "article.changed",
        "processed",
        "signature_missing",
    )
    [change] = trial["changes"]
    assert (change["externalId"], change["fields"]) == ("7", {"stock": 2.5})
    assert change["eventsIfNew"] == ["article.created"]
    assert "article.changed" in run(*words).output
    assert told("messages", "list") == []


def test_a_batch_is_tried_item_by_item(told: Told, source: dict[str, Any], tmp_path: Path) -> None:
    body = tmp_path / "batch.json"
    body.write_text('[{"no": 7, "left": 1}, {"left": 2}, {"no": 8, "left": "many"}]')
    settings = orjson.dumps(SETTINGS | {"items": "@"}).decode()
    trial = told("sources", "try", source["id"], "--body", body, "--header", "X-Topic: stock", "--settings", settings)
    assert (trial["state"], [change["item"] for change in trial["changes"]]) == ("failed", [0])
    assert trial["problems"] == ["[1]: there is no id at no", "[2]: stock is no number"]


def test_other_settings_are_tried_and_their_mistakes_named(run: Run, source: dict[str, Any], tmp_path: Path) -> None:
    body = tmp_path / "article.json"
    body.write_text("{}")
    words = ("sources", "try", source["id"], "--body", body)
    wrong = run(*words, "--settings", '{"records": [{"kind": "article", "id": "a b"}]}')
    assert wrong.exit_code == 1
    assert "records.0.id: no JMESPath at character 3" in wrong.stderr
    assert run(*words, "--header", "no colon").exit_code == 2
