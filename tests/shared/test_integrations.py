"""What a shop, a page or a seller may be called: what stands in URLs and paths is looked at when it is added."""

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from sqlalchemy import Engine

from shared import accounts, integrations, sources
from shared.clock import utc_now
from shared.crypto import KeyRing
from shared.db.engine import transaction
from shared.errors import Conflict, Unacceptable

NOW = utc_now()
SETTINGS = {"amazon": {"topicArns": ["arn:aws:sns:eu-west-1:123456789012:orders"]}}


def add(engine: Engine, ring: KeyRing, source: tuple[UUID, UUID], name: str) -> str:
    account, source_id = source
    with transaction(engine) as connection:
        row = integrations.create(connection, ring, account_id=account, source_id=source_id, external_id=name, now=NOW)
    return str(row["external_id"])


def a_source(engine: Engine, ring: KeyRing, provider: str) -> tuple[UUID, UUID]:
    with transaction(engine) as connection:
        account = accounts.create(connection, slug="acme", title="Acme", now=NOW)["id"]
        made, _ = sources.create(
            connection, ring, account_id=account, provider=provider, settings=SETTINGS.get(provider), now=NOW
        )
        return account, made["id"]


@pytest.mark.parametrize(
    ("provider", "given", "kept"),
    [
        ("shopify", "acme.myshopify.com", "acme.myshopify.com"),
        ("shopify", " Acme ", "acme.myshopify.com"),
        ("facebook", "1001", "1001"),
        ("robaws", " Lindenhof BV ", "Lindenhof BV"),
        ("amazon", "A2QUAYSIDE77X", "A2QUAYSIDE77X"),
        ("generic", "quayside/kettles", "quayside/kettles"),  # a GitHub repository, say
    ],
)
def test_a_name_is_kept_as_its_provider_writes_it(
    engine: Engine, ring: KeyRing, provider: str, given: str, kept: str
) -> None:
    assert add(engine, ring, a_source(engine, ring, provider), given) == kept


@pytest.mark.parametrize(
    ("provider", "names"),
    [
        (
            "shopify",
            (
                "",
                "acme.example.com",
                "acme.myshopify.com.evil.example",
                "127.0.0.1:80/../../../0195c1a2/shopify/victim.myshopify.com",
                "..",
                "a/b",
                "a\\b",
                "acme.myshopify.com\n.",
                "\u212aettle",
                "x" * 256,
            ),
        ),
        ("facebook", ("", ".", "..", "1001/feed", "me", "١٢", "1" * 65)),
        *(
            (provider, ("", " ", ".", "..", "a\x00b", "a\nb", "a\u202eb", "\ud800", "x" * 256))
            for provider in ("robaws", "manychat", "amazon", "flipkart", "generic")
        ),
    ],
)
def test_what_its_provider_calls_nobody_is_refused(
    engine: Engine, ring: KeyRing, provider: str, names: tuple[str, ...]
) -> None:
    source = a_source(engine, ring, provider)
    for name in names:
        with pytest.raises(Unacceptable) as caught:
            add(engine, ring, source, name)
        assert (caught.value.code, caught.value.status) == ("external_id_malformed", 422), name


def test_a_source_whose_secret_is_one_companys_has_no_other_company(engine: Engine, ring: KeyRing) -> None:
    source = a_source(engine, ring, "robaws")
    add(engine, ring, source, "company-a")
    with pytest.raises(Conflict) as caught:
        add(engine, ring, source, "company-b")
    assert caught.value.code == "source_taken"
    assert "'company-a': add a source for 'company-b'" in caught.value.message
    with pytest.raises(Conflict) as caught:
        add(engine, ring, source, "company-a")
    assert caught.value.code == "integration_exists"


def test_of_two_companies_at_once_one_source_takes_one(engine: Engine, ring: KeyRing) -> None:
    source = a_source(engine, ring, "robaws")

    def settle(name: str) -> str:
        try:
            return add(engine, ring, source, name)
        except Conflict as refusal:
            return refusal.code

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(settle, [f"company-{number}" for number in range(8)]))
    assert outcomes.count("source_taken") == 7
