"""What the README and the guides say is true: commands, options, settings, files, links, task names and code."""

import hmac
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from cli.main import main
from shared import queues
from shared.clock import utc_now
from shared.destinations.contract import Parcel
from shared.destinations.registry import DESTINATIONS
from shared.settings import Settings
from shared.signing import new_secret

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", ROOT / "bench" / "README.md", *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def _code(page: Path) -> Iterator[str]:
    """Every code line and every code span of a page."""
    text = page.read_text()
    for match in FENCE.finditer(text):
        yield from match[2].splitlines()
    for line in FENCE.sub("", text).splitlines():
        yield from re.findall(r"`([^`]+)`", line)


def _commands(pattern: str) -> list[tuple[str, str]]:
    found = {
        (page.name, line[match.end() :]) for page in PAGES for line in _code(page) if (match := re.match(pattern, line))
    }
    assert found, f"no page says {pattern}: the pattern is wrong, or this test is not needed"
    return sorted(found)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text())
    missing = [
        link
        for link in links
        if not re.match(r"https?://|mailto:|#", link) and not (page.parent / link.partition("#")[0]).exists()
    ]
    assert missing == []


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {rest.split()[0] for _, rest in _commands(r"(?:[A-Z]+=\S+ )*make (?=[a-z])")}
    assert named <= targets
    assert {"demo", "test", "up"} <= named


@pytest.mark.parametrize(("page", "rest"), _commands(r"(?:\.venv/bin/)?crossdock (?=[a-z-])"))
def test_every_command_that_is_named_exists_with_its_options(page: str, rest: str) -> None:
    command: click.Command = main
    context = click.Context(main)
    words = shlex.split(rest.replace("…", "x"), comments=True)
    while words and isinstance(command, click.Group) and not words[0].startswith("-"):
        name = words.pop(0)
        found = command.get_command(context, name)
        assert found is not None, f"{page}: crossdock {rest}: there is no {name}"
        command = found
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)} | {"--help"}
    unknown = [word for word in words if word.startswith("--") and word.partition("=")[0] not in known]
    assert unknown == [], f"{page}: crossdock {rest}"


def test_every_setting_that_is_named_exists() -> None:
    known = {f"CROSSDOCK_{name.upper()}" for name in Settings.model_fields}
    named = {name for page in PAGES for name in re.findall(r"\bCROSSDOCK_[A-Z_]+\b", page.read_text())}
    assert named <= known
    assert named


def test_every_task_that_is_named_exists() -> None:
    known = {queues.DRAIN, queues.DISPATCH, queues.REPLAY_RUN, queues.TICK, queues.RECOVER, queues.RETAIN}
    known |= {queues.PRIVACY}
    families = "|".join({name.partition(".")[0] for name in known})
    task = re.compile(rf"(?:{families})\.[a-z_]+")
    named = {code for page in PAGES for code in _code(page) if task.fullmatch(code)}
    assert named <= known


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_is_named_exists(page: Path) -> None:
    path = re.compile(r"(?<![\w/])(?:web|workers|shared|cli|bench|tests|docs)/[\w./-]*\w")
    missing = [
        match for code in _code(page) for match in path.findall(code) if "<" not in code and not (ROOT / match).exists()
    ]
    assert missing == []


@pytest.fixture
def delivery() -> tuple[str, bytes, dict[str, str]]:
    """A delivery as it is really built: the secret, the body and the headers."""
    secret = new_secret()
    parcel = Parcel(
        event_id="0195c1a2-7f00-7a11-8b22-c33d44e55f66",
        event_type="user.created",
        body='{"event":"user.created","data":{"user":{"firstName":"Zoë"}}}'.encode(),
        delivery_id="0195c1a2-7f00-7a11-8b22-000000000001",
        attempt_number=1,
        url="https://crm.example/hooks",
        secrets=(secret,),
    )
    outgoing = DESTINATIONS["webhook"].build(parcel, utc_now())
    return secret, outgoing.body, dict(outgoing.headers)


def _python(page: str) -> list[str]:
    return [match[2] for match in FENCE.finditer((ROOT / "docs" / page).read_text()) if match[1] == "python"]


def test_the_first_example_of_receiving_verifies_a_real_delivery_and_refuses_a_changed_one(
    delivery: tuple[str, bytes, dict[str, str]],
) -> None:
    secret, body, headers = delivery
    example = _python("receiving.md")[0]
    names: dict[str, object] = {"secret": secret, "body": body, "headers": headers}
    exec(example, names)  # noqa: S102  # the page's own words
    assert names["payload"] == {"event": "user.created", "data": {"user": {"firstName": "Zoë"}}}
    assert names["Webhook"] is Webhook
    with pytest.raises(WebhookVerificationError):
        exec(example, {**names, "body": body.replace(b"created", b"deleted")})  # noqa: S102


def test_the_second_example_of_receiving_tells_a_real_delivery_from_a_changed_one(
    delivery: tuple[str, bytes, dict[str, str]],
) -> None:
    secret, body, headers = delivery
    example = _python("receiving.md")[1].strip()
    names = {"secret": secret, "headers": headers, "hmac": hmac}
    assert eval(example, {**names, "body": body}) is True  # noqa: S307  # the page's own words
    assert eval(example, {**names, "body": body + b" "}) is False  # noqa: S307
    spoilt = {**headers, "X-Webhook-Signature": "é"}
    assert eval(example, {**names, "body": body, "headers": spoilt}) is False  # noqa: S307


def test_receiving_names_every_header_that_is_sent(delivery: tuple[str, bytes, dict[str, str]]) -> None:
    page = (ROOT / "docs" / "receiving.md").read_text()
    missing = [name for name in delivery[2] if name not in page and name not in ("Content-Type", "User-Agent")]
    assert missing == []
