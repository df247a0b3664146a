"""Every provider has a page: how to connect it, what arrives, what we emit and what can go wrong. It is true."""

import re
from pathlib import Path

import pytest

from shared.event_types import CATALOGUE, matches
from shared.providers import samples
from shared.providers.registry import PROVIDERS

FOLDER = Path(__file__).parents[1] / "docs" / "providers"


def sections(name: str) -> dict[str, str]:
    """The page's text by heading."""
    parts = re.split(r"^## (.+)$", (FOLDER / f"{name}.md").read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize("name", PROVIDERS)
def test_its_page_says_all_four_things(name: str) -> None:
    found = sections(name)
    connect = "".join(text for heading, text in found.items() if heading.startswith("Connect"))
    assert f"crossdock sources add {name}" in connect
    assert "What arrives, and what we emit" in found
    wrong = found["What can go wrong"]
    assert wrong.count("\n|") > 4, "a table of what can go wrong"


@pytest.mark.parametrize("name", PROVIDERS)
def test_every_topic_that_is_understood_is_on_its_page(name: str) -> None:
    page = sections(name)["What arrives, and what we emit"]
    told = re.findall(r"`([^`\n]+)`", page)
    missing = [
        topic
        for topic in PROVIDERS[name].topics
        if not any(topic == one or (one.endswith("*") and topic.startswith(one[:-1])) for one in told)
    ]
    assert missing == []


@pytest.mark.parametrize("name", PROVIDERS)
def test_every_event_that_its_page_names_is_in_the_catalogue(name: str) -> None:
    page = sections(name)["What arrives, and what we emit"]
    nouns = {event_type.partition(".")[0] for event_type in CATALOGUE}
    foreign = {*PROVIDERS[name].topics, *samples.topics(name)}
    named = {
        one
        for one in re.findall(r"`([a-z]+\.[a-z_*]+)`", page)
        if one.partition(".")[0] in nouns and one not in foreign
    }
    assert named
    for one in named:
        assert any(matches([one], event_type) for event_type in CATALOGUE), one
