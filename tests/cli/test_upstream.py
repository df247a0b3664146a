"""What a provider is to be asked, asked from the command line."""

from pathlib import Path

from tests.cli.conftest import Run, Told


def test_an_integrations_work_is_asked_for_and_shown(run: Run, told: Told) -> None:
    told("accounts", "create", "acme")
    source = told("sources", "add", "shopify", "--secret", "s")
    integration = told("integrations", "add", source["id"], "acme.myshopify.com")["id"]
    for word, kind in (("register", "registration"), ("test", "trial"), ("sync", "sync")):
        asked = told("integrations", word, integration)
        assert (asked["kind"], asked["state"]) == (kind, "waiting")
    shown = told("integrations", "upstream", integration)
    assert [one["kind"] for one in shown["work"]] == ["registration", "sync", "trial"]
    assert shown["registrations"] == []
    assert "registration" in run("integrations", "upstream", integration).output


def test_the_listing_says_when_a_shop_has_to_be_connected_again(run: Run, told: Told, tmp_path: Path) -> None:
    told("accounts", "create", "acme")
    source = told("sources", "add", "shopify", "--secret", "s")
    keys = tmp_path / "keys.json"
    keys.write_text('{"access_token": "a", "refresh_token": "hush", "refresh_token_ends_at": "2027-01-30T10:00:00Z"}')
    told("integrations", "add", source["id"], "acme.myshopify.com", "--credentials", keys)
    listed = run("integrations", "list").output
    assert "2027-01-30" in listed
    assert "hush" not in listed


def test_keys_that_cannot_be_sent_are_refused_when_they_are_given(run: Run, told: Told, tmp_path: Path) -> None:
    told("accounts", "create", "acme")
    source = told("sources", "add", "manychat", "--secret", "s")
    keys = tmp_path / "keys.json"
    keys.write_text('{"access_token": "4711:hush\\nhush"}')
    refused = run("integrations", "add", source["id"], "4711", "--credentials", keys)
    assert refused.exit_code != 0
    assert "access_token has a line break" in refused.output
    assert "hush" not in refused.output


def test_what_would_never_be_done_is_refused(run: Run, told: Told) -> None:
    told("accounts", "create", "acme")
    source = told("sources", "add", "robaws", "--secret", "s")
    integration = told("integrations", "add", source["id"], "acme")["id"]
    refused = run("integrations", "sync", integration)
    assert refused.exit_code != 0
    assert "no sync for robaws" in refused.output


def test_what_is_no_shop_is_refused_and_said_how_one_is_called(run: Run, told: Told) -> None:
    told("accounts", "create", "acme")
    source = told("sources", "add", "shopify", "--secret", "s")
    refused = run("integrations", "add", source["id"], "acme.example.com")
    assert refused.exit_code != 0
    assert "acme.myshopify.com" in refused.output
    assert told("integrations", "list") == []


def test_a_second_company_of_one_robaws_source_is_refused(run: Run, told: Told) -> None:
    told("accounts", "create", "acme")
    source = told("sources", "add", "robaws", "--secret", "s")
    told("integrations", "add", source["id"], "company-a")
    refused = run("integrations", "add", source["id"], "company-b")
    assert refused.exit_code != 0
    assert "one integration" in refused.output
    assert [row["externalId"] for row in told("integrations", "list")] == ["company-a"]
