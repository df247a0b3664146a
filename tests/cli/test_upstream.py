"""What a provider is to be asked, asked from the command line."""

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


def test_what_would_never_be_done_is_refused(run: Run, told: Told) -> None:
    told("accounts", "create", "acme")
    source = told("sources", "add", "robaws", "--secret", "s")
    integration = told("integrations", "add", source["id"], "acme")["id"]
    refused = run("integrations", "sync", integration)
    assert refused.exit_code != 0
    assert "no sync for robaws" in refused.output
