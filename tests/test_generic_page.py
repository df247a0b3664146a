"""The page about generic sources is true to the code."""

import json
import re
from pathlib import Path

import pytest

from shared.providers import samples
from shared.providers.generic import GenericOptions, check_settings
from shared.providers.presets import SCHEMES
from shared.providers.record_mapping import Rule
from shared.record_kinds import KINDS
from tests.shared.providers.acting import NOW
from tests.shared.providers.test_batches import CHANGED, CREATED, DELETED, understood

PAGE = (Path(__file__).parents[1] / "docs" / "providers" / "generic.md").read_text()


def table(heading: str) -> set[str]:
    """The names in the first column of the table that begins with `heading`."""
    rows = PAGE.split(f"| {heading} |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    return {name for row in rows for name in re.findall(r"`([\w-]+)`", row.split("|")[1])}


def test_it_names_every_preset() -> None:
    assert table("preset") == set(SCHEMES)


def test_it_names_every_topic_that_can_be_simulated_by_preset() -> None:
    lines = PAGE.split("| preset of the source |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    rows = [[re.findall(r"`([^`]+)`", cell) for cell in line.split("|")[1:3]] for line in lines]
    assert {preset: tuple(topics) for presets, topics in rows for preset in presets} == samples.families("generic")


def test_what_hubspot_is_simulated_to_send_is_processed_by_its_example() -> None:
    example = json.loads(re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)[1])
    for topic in samples.topics("generic", example):
        posted = samples.posted("generic", topic, number=7, at=NOW, settings=example)
        outcome = understood(json.loads(posted.body), example)[1]
        assert outcome.changes
        assert outcome.problems == ()


def test_it_names_every_part_of_a_rule() -> None:
    assert table("name") == {field.alias or name for name, field in Rule.model_fields.items()}


def test_it_names_every_kind_of_record() -> None:
    [line] = [line for line in PAGE.splitlines() if line.startswith("| `kind` |")]
    assert set(re.findall(r"`(\w+)`", line)) == set(KINDS) | {"kind"}


def test_it_names_every_event_of_every_kind() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| ((?:`[\w.]+`(?:, )?)+) \|$", PAGE, re.MULTILINE))
    parts_of_a_user = {"tag.added", "tag.removed", "customfield.updated"}
    assert {kind: set(re.findall(r"[\w.]+", events)) for kind, events in rows.items()} == {
        name: {kind.created, kind.updated, kind.deleted, *(one.event_type for one in kind.transitions)} - {None}
        | (parts_of_a_user if name == "user" else set())
        for name, kind in KINDS.items()
    }


def test_its_settings_are_in_order() -> None:
    examples = [json.loads(example) for example in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]
    assert [check_settings(example) for example in examples] == [[], []]
    assert GenericOptions.model_validate(examples[0]).records[0].wants("order.created")
    assert GenericOptions.model_validate(examples[1]).items == "@"


def test_a_batch_is_understood_by_its_example() -> None:
    example = json.loads(re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)[1])
    outcome = understood([CREATED, CHANGED, DELETED], example)[1]
    assert [(one.op, one.external_id, one.part) for one in outcome.changes] == [
        ("upsert", "9001", None),
        ("upsert", "9002", "email"),
        ("delete", "9003", None),
    ]


def test_it_names_every_setting() -> None:
    missing = {
        field.alias or name
        for name, field in GenericOptions.model_fields.items()
        if f"`{field.alias or name}`" not in PAGE and f'"{field.alias or name}"' not in PAGE
    }
    assert missing == set()


@pytest.mark.parametrize("place", re.findall(r'`(\{"(?:header|jmespath|json|fixed)".*?\})`', PAGE))
def test_its_places_are_in_order(place: str) -> None:
    assert check_settings({"topic": json.loads(place)}) == []


def test_the_problem_that_it_shows_is_the_one_that_is_said() -> None:
    rule = {"kind": "user", "id": "id", "fields": {"email": "data..mail"}}
    [problem] = check_settings({"records": [rule]})
    assert f"`{problem}`" in PAGE
