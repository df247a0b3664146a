"""Sources and integrations: made, changed, rotated, and known to the ingress at once; no secret is shown again."""

import pytest
from sqlalchemy import text

from shared import directory, integrations
from shared.directory import Listing
from shared.settings import Settings
from tests.web.api.conftest import World
from web.context import EXTENSION


def known(world: World) -> dict[str, Listing]:
    """What the ingress knows now."""
    context = world.app.extensions[EXTENSION]
    return directory.load(context.client, context.ring, now=world.clock())


def test_a_source_without_a_secret_gets_one_that_is_shown_once(world: World) -> None:
    made = world.source()
    assert made["secret"].startswith("whsec_")
    assert made["source"]["url"] == "http://127.0.0.1:8080/api/webhooks/shopify/acme"
    listing = known(world)["shopify/acme"]
    assert listing.source.secrets == (made["secret"].encode(),)
    assert (listing.active, listing.tenants) == (True, frozenset())
    path = f"/api/admin/sources/{made['source']['id']}"
    for response in (
        world.caller().get(path),
        world.caller().get("/api/admin/sources"),
        world.caller().patch(path, {"name": "Renamed"}),
        world.caller().get("/api/admin/audit"),
    ):
        assert response.status_code == 200
        assert made["secret"] not in response.text
        assert "sealed" not in response.text
    with world.engine.connect() as connection:
        assert made["secret"] not in connection.execute(text("SELECT CAST(s.* AS text) FROM sources s")).scalar_one()


def test_a_given_secret_is_never_shown_at_all(world: World) -> None:
    made = world.source(secrets=["hush-newest", "hush-older"])
    assert made["secret"] is None
    assert known(world)["shopify/acme"].source.secrets == (b"hush-newest", b"hush-older")
    everything = [world.caller().get(path).text for path in ("/api/admin/sources", "/api/admin/audit")]
    assert not any("hush" in shown for shown in everything)


def test_rotation_keeps_the_old_secret_for_the_overlap(world: World) -> None:
    made = world.source(secrets=["old"])
    path = f"/api/admin/sources/{made['source']['id']}"
    rotated = world.caller().post(f"{path}/rotate", {"secret": "new", "overlapSeconds": 60}).json
    assert rotated["secret"] is None
    assert known(world)["shopify/acme"].source.secrets == (b"new", b"old")
    world.clock.forward(seconds=61)
    assert known(world)["shopify/acme"].source.secrets == (b"new",)
    made_here = world.caller().post(f"{path}/rotate", {"overlapSeconds": 0}).json["secret"]
    assert known(world)["shopify/acme"].source.secrets == (made_here.encode(),)
    too_long = world.caller().post(f"{path}/rotate", {"overlapSeconds": 1e9})
    assert too_long.json["error"]["code"] == "overlap_malformed"


def test_what_is_switched_changed_or_deleted_is_so_at_the_ingress_at_once(world: World) -> None:
    path = f"/api/admin/sources/{world.source()['source']['id']}"
    operator = world.caller(role="operator")
    assert operator.post(f"{path}/disable").json["source"]["active"] is False
    assert known(world)["shopify/acme"].active is False
    assert operator.post(f"{path}/enable").json["source"]["active"] is True
    assert known(world)["shopify/acme"].active is True
    world.caller().patch(path, {"anyTenant": True, "allowedTopics": ["customers/create"], "ratePerSecond": 5})
    listing = known(world)["shopify/acme"]
    assert (listing.tenants, listing.allowed_topics, listing.rate_per_second) == (None, {"customers/create"}, 5)
    world.caller().patch(path, {"allowedTopics": None, "ratePerSecond": None})
    listing = known(world)["shopify/acme"]
    assert (listing.allowed_topics, listing.rate_per_second) == (None, 0)
    assert world.caller().delete(path).status_code == 200
    assert known(world) == {}


def test_integrations_are_the_shops_that_the_ingress_lets_in(world: World) -> None:
    source = world.source()["source"]
    form = {"sourceId": source["id"], "externalId": "acme.myshopify.com", "credentials": {"token": "shpat_hush"}}
    made = world.caller().post("/api/admin/integrations", form)
    assert made.status_code == 201
    integration = made.json["integration"]
    assert integration["hasCredentials"] is True
    path = f"/api/admin/integrations/{integration['id']}"
    assert known(world)["shopify/acme"].tenants == {"acme.myshopify.com"}
    twice = world.caller().post("/api/admin/integrations", form)
    assert (twice.status_code, twice.json["error"]["code"]) == (409, "integration_exists")
    disabled = world.caller().patch(path, {"state": "disabled"}).json["integration"]
    assert (disabled["state"], disabled["hasCredentials"]) == ("disabled", True)
    assert known(world)["shopify/acme"].tenants == frozenset()
    assert disabled["credentialsEndAt"] is None
    ends = {"access_token_ends_at": "2026-11-01T11:00:00Z", "refresh_token_ends_at": "2027-01-30T10:00:00Z"}
    for renewal, end in (({}, "2026-11-01T11:00:00.000Z"), ({"refresh_token": "r"}, "2027-01-30T10:00:00.000Z")):
        changed = world.caller().patch(path, {"credentials": {"access_token": "a", **ends, **renewal}})
        assert changed.json["integration"]["credentialsEndAt"] == end
        assert world.caller().get(path).json["integration"] == changed.json["integration"]
    forgotten = world.caller().patch(path, {"credentials": None}).json["integration"]
    assert (forgotten["hasCredentials"], forgotten["credentialsEndAt"]) == (False, None)
    shown = [world.caller().get(where).text for where in (path, "/api/admin/integrations", "/api/admin/audit")]
    assert not any("shpat_hush" in text_ for text_ in shown)
    with world.engine.connect() as connection:
        stored = connection.execute(text("SELECT string_agg(CAST(a.* AS text), '') FROM audit_log a")).scalar_one()
    assert "shpat_hush" not in stored
    assert world.caller().delete(path).status_code == 200
    assert world.caller().get(path).status_code == 404


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"provider": "pigeon"}, 422, "provider_unknown"),
        ({"path": "Upper"}, 422, "path_malformed"),
        ({"path": "a/../b"}, 422, "path_malformed"),
        ({"path": "events/stream"}, 422, "path_reserved"),
        ({"path": "register/1"}, 422, "path_reserved"),
        ({"path": "taken"}, 409, "path_taken"),
        ({"secrets": [""]}, 422, "secret_malformed"),
        ({"ratePerSecond": 0}, 422, "rate_malformed"),
        ({"provider": "generic", "settings": {"scheme": "no-such-scheme"}}, 422, "settings_malformed"),
    ],
)
def test_what_a_source_may_not_be_is_refused(
    world: World, settings: Settings, fields: dict[str, object], status: int, code: str
) -> None:
    world.source(path="taken")
    response = world.caller().post("/api/admin/sources", {"provider": "shopify", "path": "free", **fields})
    assert (response.status_code, response.json["error"]["code"]) == (status, code)
    assert list(known(world)) == ["taken"]


def test_credentials_that_cannot_be_sent_are_refused_and_a_copys_blanks_are_taken_off(world: World) -> None:
    source = world.source()["source"]
    form = {"sourceId": source["id"], "externalId": "acme.myshopify.com"}
    bad = {"credentials": {"access_token": "shpat_hush\n2"}}
    refused = world.caller().post("/api/admin/integrations", form | bad)
    assert (refused.status_code, refused.json["error"]["code"]) == (422, "credentials_malformed")
    made = world.caller().post("/api/admin/integrations", form | {"credentials": {"access_token": "shpat_hush\n"}})
    assert made.status_code == 201
    path = f"/api/admin/integrations/{made.json['integration']['id']}"
    changed = world.caller().patch(path, bad)
    assert (changed.status_code, changed.json["error"]["code"]) == (422, "credentials_malformed")
    ring = world.app.extensions[EXTENSION].ring
    with world.engine.connect() as connection:
        row = connection.execute(text("SELECT id, credentials FROM integrations")).one()
    assert integrations.open_credentials(ring, row.id, row.credentials) == {"access_token": "shpat_hush"}
