"""Acting as Amazon, and the keys to its queues."""

from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from cli.sns_stand_in import furnish
from shared import integrations
from shared.clock import utc_now
from shared.crypto import load_ring
from shared.settings import Settings
from tests.cli.conftest import Run, Told
from tests.doubles.sns import TOPIC

SETTINGS = f'{{"topicArns": ["{TOPIC}"]}}'


def test_without_a_stand_in_nobody_can_act_as_amazon(run: Run) -> None:
    assert run("accounts", "create", "acme").exit_code == 0
    added = run("sources", "add", "amazon", "--account", "acme", "--settings", SETTINGS)
    assert added.exit_code == 0, added.output
    result = run("simulate", "amazon", "ORDER_CHANGE")
    assert result.exit_code != 0
    assert "CROSSDOCK_SNS_STAND_IN" in result.stderr


def test_a_stand_in_is_made_once_and_its_key_is_closed_to_others(tmp_path: Path) -> None:
    folder = tmp_path / "sns"
    key = furnish(folder, now=utc_now())
    assert furnish(folder, now=utc_now()) == key
    assert (folder / "key.pem").stat().st_mode & 0o077 == 0
    assert len(list(folder.glob("SimpleNotificationService-*.pem"))) == 1


@pytest.mark.parametrize("content", ["{", "[]"])
def test_credentials_that_are_no_object_are_refused(run: Run, told: Told, tmp_path: Path, content: str) -> None:
    told("accounts", "create", "acme")
    source = told("sources", "add", "amazon", "--account", "acme", "--settings", SETTINGS)
    (tmp_path / "keys.json").write_text(content)
    result = run("integrations", "add", source["id"], "A2QUAYSIDE77X", "--credentials", tmp_path / "keys.json")
    assert result.exit_code != 0
    assert "credentials" in result.stderr


def test_credentials_come_from_a_file_and_are_not_shown(
    told: Told, engine: Engine, settings: Settings, tmp_path: Path
) -> None:
    told("accounts", "create", "acme")
    source = told("sources", "add", "amazon", "--account", "acme", "--settings", SETTINGS)
    (tmp_path / "keys.json").write_text('{"accessKeyId": "AKIA", "secretAccessKey": "hidden"}')
    row = told("integrations", "add", source["id"], "A2QUAYSIDE77X", "--credentials", tmp_path / "keys.json")
    assert row["hasCredentials"] is True
    assert "hidden" not in str(row)
    with engine.connect() as connection:
        sealed = connection.execute(text("SELECT credentials FROM integrations")).scalar_one()
    assert "hidden" in load_ring(settings).decrypt(sealed, place=integrations.place(row["id"])).decode()
