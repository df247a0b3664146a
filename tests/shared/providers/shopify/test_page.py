"""What docs/providers/shopify.md says of topics and events is so."""

import re
from pathlib import Path

from shared.event_types import CATALOGUE, matches
from shared.providers.registry import PROVIDERS

PAGE = (Path(__file__).parents[4] / "docs" / "providers" / "shopify.md").read_text()
ROWS = [line.split("|")[1:-1] for line in PAGE.splitlines() if re.match(r"\| `\w+/\w+`", line)]


def test_every_topic_has_a_row_and_no_other_has_one():
    assert {topic for row in ROWS for topic in re.findall(r"`(\w+/\w+)`", row[0])} == set(PROVIDERS["shopify"].topics)


def test_every_event_that_is_named_is_in_the_catalogue():
    named = {name for row in ROWS for name in re.findall(r"`(\w+\.[\w*]+)`", row[2])}
    assert len(named) > 10
    for name in named:
        assert any(matches([name], event_type) for event_type in CATALOGUE), name
