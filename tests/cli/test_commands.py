"""The commands, each through the real command line on a real database."""

from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from sqlalchemy import Engine, text

from shared import directory, refusals, valkey
from shared.clock import utc_now
from shared.crypto import load_ring
from shared.db import migrate
from shared.events import EventDraft, emit
from shared.ids import new_id
from shared.providers.contract import Headers, Refusal, Request
from shared.settings import Settings
from tests.cli.conftest import Run, Told


@pytest.fixture
def account(told: Told) -> dict[str, Any]:
    made: dict[str, Any] = told("accounts", "create", "acme", "--title", "Acme Ltd")
    return made


@pytest.fixture
def subscription(told: Told, account: dict[str, Any]) -> dict[str, Any]:
    words = ("--name", "CRM", "--url", "https://93.184.215.14/hooks", "--event", "user.*")
    made: dict[str, Any] = told("subscriptions", "add", *words)
    return made


def _dead_delivery(engine: Engine, account_id: str, **values: Any) -> str:
    now = utc_now()
    draft = EventDraft(account_id=account_id, type="user.created", body="{}", occurred_at=now)  # type: ignore[arg-type]
    with engine.begin() as connection:
        emit(connection, [draft], now=now)
        found = connection.execute(
            text("UPDATE deliveries SET state = :state WHERE event_id = :id RETURNING id"),
            {"id": draft.id, "state": "dead", **values},
        )
        return str(found.scalar_one())


def test_an_account_is_made_and_listed(told: Told) -> None:
    made = told("accounts", "create", "acme", "--title", "Acme Ltd")
    assert (made["slug"], made["title"]) == ("acme", "Acme Ltd")
    assert told("accounts", "list") == [made]


def test_what_cannot_be_done_is_one_line_with_its_code(run: Run, account: dict[str, Any]) -> None:
    result = run("accounts", "create", "acme")
    assert result.exit_code == 1
    assert result.stderr == "error [slug_taken]: There is an account 'acme' already.\n"
    assert result.stdout == ""


def test_with_several_accounts_a_change_must_name_one(run: Run, told: Told, account: dict[str, Any]) -> None:
    told("accounts", "create", "other")
    result = run("sources", "add", "shopify")
    assert result.exit_code == 1
    assert "account_needed" in result.stderr
    assert "acme, other" in result.stderr
    assert told("sources", "add", "shopify", "--account", "other")["path"] == "shopify"


def test_a_key_is_shown_once_and_revoked(told: Told, account: dict[str, Any]) -> None:
    made = told("keys", "create", "--role", "operator", "--name", "on call")
    assert made["key"].startswith(f"cdk_{made['prefix']}_")
    listed = told("keys", "list")
    assert [key["id"] for key in listed] == [made["id"]]
    assert made["key"] not in str(listed)
    assert told("keys", "revoke", made["id"])["revokedAt"] is not None


def test_a_superuser_key_belongs_to_no_account(told: Told, account: dict[str, Any]) -> None:
    assert told("keys", "create", "--role", "superuser", "--name", "root")["accountId"] is None


def test_a_source_that_is_added_rotated_and_disabled_is_told_to_the_ingress_each_time(
    told: Told, account: dict[str, Any], queue: valkey.Client, settings: Settings
) -> None:
    def listing() -> directory.Listing:
        return directory.load(queue, load_ring(settings), now=utc_now())["shop"]

    made = told("sources", "add", "shopify", "--path", "shop", "--secret", "first", "--topic", "customers/create")
    assert listing().source.secrets == (b"first",)
    assert listing().allowed_topics == {"customers/create"}
    told("integrations", "add", made["id"], "acme.myshopify.com")
    assert listing().tenants == {"acme.myshopify.com"}
    told("sources", "rotate", made["id"], "--secret", "second")
    assert listing().source.secrets == (b"second", b"first")
    told("sources", "disable", made["id"])
    assert not listing().active
    told("sources", "enable", made["id"])
    assert listing().active
    assert "first" not in str(told("sources", "show", made["id"])["secrets"])


def test_a_source_without_a_secret_gets_one_that_is_shown_once(told: Told, account: dict[str, Any]) -> None:
    made = told("sources", "add", "robaws", "--path", "robaws/customers")
    assert made["secret"].startswith("whsec_")
    assert made["secret"] not in str(told("sources", "list"))


def test_settings_of_a_source_that_are_no_json_are_a_usage_error(run: Run, account: dict[str, Any]) -> None:
    result = run("sources", "add", "generic", "--settings", "{")
    assert result.exit_code == 2
    assert "not JSON" in result.stderr


def test_a_subscription_goes_through_its_life(
    told: Told, run: Run, subscription: dict[str, Any], engine: Engine
) -> None:
    which = subscription["id"]
    assert subscription["secret"].startswith("whsec_")
    assert told("subscriptions", "update", which, "--name", "ERP", "--event", "user.created")["events"] == [
        "user.created"
    ]
    tested = told("subscriptions", "test", which)
    assert told("deliveries", "show", tested["deliveryId"])["eventType"] == "webhook.test"
    assert told("subscriptions", "disable", which)["held"] == 1
    assert told("subscriptions", "list", "--disabled")[0]["name"] == "ERP"
    refused = run("subscriptions", "test", which)
    assert "webhook_disabled" in refused.stderr
    assert told("subscriptions", "enable", which, "--held", "discard")["released"] == 0
    assert told("deliveries", "show", tested["deliveryId"])["state"] == "discarded"
    assert told("subscriptions", "rotate", which)["secret"] != subscription["secret"]
    assert run("subscriptions", "delete", which).exit_code == 1, "it asks first"
    assert told("subscriptions", "delete", which, "--yes") == {"id": which, "discarded": 0}
    assert told("subscriptions", "list") == []
    with engine.connect() as connection:
        deeds = connection.execute(
            text("SELECT action, detail FROM audit_log WHERE subject_id = :id ORDER BY id"), {"id": which}
        ).all()
    done = [row.action.partition(".")[2] for row in deeds]
    assert done == ["created", "updated", "tested", "disabled", "enabled", "rotated", "deleted"]
    assert (deeds[0].detail["host"], "url" in deeds[0].detail) == (urlsplit(subscription["url"]).hostname, False)


def test_an_update_of_nothing_is_refused(run: Run, subscription: dict[str, Any]) -> None:
    assert "nothing_to_change" in run("subscriptions", "update", subscription["id"]).stderr


def test_deliveries_are_listed_by_state(told: Told, subscription: dict[str, Any], engine: Engine) -> None:
    dead = _dead_delivery(engine, subscription["accountId"])
    assert [row["id"] for row in told("deliveries", "list", "--state", "dead")] == [dead]
    assert told("deliveries", "list", "--state", "held") == []
    assert told("deliveries", "list", "--until", "1d") == []


def test_deliveries_are_listed_by_what_they_came_of_and_what_came_of_them(
    told: Told, run: Run, subscription: dict[str, Any], engine: Engine
) -> None:
    dead = _dead_delivery(engine, subscription["accountId"])
    message, source = new_id(), new_id()
    with engine.begin() as connection:
        connection.execute(text("UPDATE deliveries SET last_status = 503, last_error = 'http_503'"))
        connection.execute(text("UPDATE events SET message_id = :m, source_id = :s"), {"m": message, "s": source})
    for found, *words in (
        ([dead], "--message", message, "--source", source),
        ([], "--message", new_id()),
        ([], "--source", new_id()),
        ([dead], "--status-code", "404", "--status-code", "5xx"),
        ([], "--status-code", "4xx"),
        ([dead], "--error-code", "http_503"),
        ([], "--error-code", "timeout"),
    ):
        assert [row["id"] for row in told("deliveries", "list", *map(str, words))] == found, words
    assert "status_code_unknown" in run("deliveries", "list", "--status-code", "teapot").stderr


def test_subscriptions_are_listed_by_part_of_their_name(told: Told, subscription: dict[str, Any]) -> None:
    name = subscription["name"]
    assert [row["name"] for row in told("subscriptions", "list", "--name", name[1:].upper())] == [name]
    assert told("subscriptions", "list", "--name", "nobody") == []


def test_an_instant_that_is_none_is_a_usage_error(run: Run) -> None:
    result = run("deliveries", "list", "--since", "yesterday")
    assert result.exit_code == 2
    assert "neither a time" in result.stderr


def test_a_dry_run_counts_and_changes_nothing(told: Told, subscription: dict[str, Any], engine: Engine) -> None:
    dead = _dead_delivery(engine, subscription["accountId"])
    assert told("replay", "deliveries", "--dry-run") == {"target": "deliveries", "wouldReplay": 1}
    assert told("replay", "list") == []
    assert told("deliveries", "show", dead)["state"] == "dead"


def test_a_replay_is_a_job_that_is_paused_resumed_and_cancelled(
    told: Told, subscription: dict[str, Any], engine: Engine
) -> None:
    _dead_delivery(engine, subscription["accountId"])
    words = ("--status", "dead", "--subscription", subscription["id"], "--rate", "5", "--reason", "CRM outage")
    job = told("replay", "deliveries", *words, "--detach")
    assert (job["state"], job["total"], job["ratePerSecond"], job["reason"]) == ("running", 1, 5.0, "CRM outage")
    assert told("replay", "pause", job["id"])["state"] == "paused"
    assert told("replay", "resume", job["id"])["state"] == "running"
    assert told("replay", "cancel", job["id"])["state"] == "cancelled"
    assert [row["id"] for row in told("replay", "list")] == [job["id"]]
    assert told("replay", "show", job["id"])["askedBy"].startswith("cli:")


def test_a_replay_of_nothing_is_over_at_once(told: Told, subscription: dict[str, Any]) -> None:
    assert told("replay", "deliveries")["state"] == "finished"


def test_messages_and_refusals_start_empty(run: Run) -> None:
    assert run("messages", "list").stdout == "There is no such message.\n"
    assert run("refusals", "list").stdout == "Nothing was refused.\n"


def test_a_refusal_is_listed_with_who_sent_it_and_cut_where_it_is_endless(run: Run, settings: Settings) -> None:
    request = Request("POST", "/api/webhooks/" + "x" * 450, Headers([]), b"", remote_addr="192.0.2.7")
    queue = valkey.connect(settings.redis_url)
    refusals.record(queue, Refusal("source_unknown", "There is no such source.", 404), request, at=utc_now(), kept=10)
    shown = run("refusals", "list").stdout
    assert "192.0.2.7" in shown
    assert 200 < shown.count("x") < 300


@pytest.mark.parametrize("noun", ["messages", "deliveries", "sources", "subscriptions", "replay"])
def test_what_is_not_there_is_said_to_be_not_there(run: Run, noun: str) -> None:
    result = run(noun, "show", uuid4())
    assert result.exit_code == 1
    assert "_not_found]" in result.stderr


def test_migrate_is_idempotent(told: Told) -> None:
    newest = migrate.newest()
    assert told("migrate") == {"before": newest, "after": newest}


def test_an_unpublished_change_stands_and_is_warned_of(
    run: Run, told: Told, account: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    result = run("sources", "add", "shopify")
    assert result.exit_code == 0
    assert "warning: the ingress could not be told" in result.stderr


def test_a_database_that_is_down_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    result = run("accounts", "list")
    assert result.exit_code == 1
    assert result.stderr.startswith("error [unavailable]: PostgreSQL does not answer")
    assert result.stderr.count("\n") == 1


def test_with_nothing_set_and_nothing_running_a_command_says_how_to_start(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATABASE_URL")
    monkeypatch.delenv("REDIS_URL")
    result = run("accounts", "list")
    assert result.exit_code == 1
    assert "make up" in result.stderr


def test_a_misspelt_setting_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSDOCK_INGRES_PORT", "9000")
    result = run("accounts", "list")
    assert result.exit_code == 1
    assert "CROSSDOCK_INGRES_PORT: no such setting" in result.stderr
