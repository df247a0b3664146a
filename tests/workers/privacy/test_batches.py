"""Somebody who was one of many in a batch is erased from it, whether the batch was of one account or of several."""

from typing import Any

import pytest

from shared import privacy
from shared.db.engine import transaction
from tests.shared.providers.test_batches import CREATED, event
from tests.workers.inbound.test_items import BROKEN, Portal
from tests.workers.privacy.house import LATER, House
from workers.privacy.run import run


def forget(house: House, subject: str, tenant: str) -> None:
    with transaction(house.engine) as connection:
        whose: dict[str, Any] = {"account_id": house.account_id, "provider": "generic", "tenant": tenant}
        privacy.ask_erasure(connection, **whose, subject=subject, at=LATER)
    assert run(house.context, now=LATER, seconds=60)["erasures"] == 1


def bodies(house: House) -> list[bool]:
    return [row["body"] is not None for row in house.all("messages")]


OTHER = event(9, "contact.creation", portal=621)


@pytest.mark.parametrize(
    ("subject", "tenant", "kept"),
    [
        ("9001", "620", [False, False, True]),  # who is in the first two
        ("9009", "621", [True, False, True]),
        ("9009", "620", [True, False, True]),  # a namesake of another account: rather too much than too little
        ("9001", "622", [True, True, True]),
        ("77", "620", [True, True, False]),  # in an item that could not be read
        ("*", "621", [True, False, True]),
    ],
)
def test_of_a_batch_what_speaks_of_somebody_is_emptied(
    house: House, subject: str, tenant: str, kept: list[bool]
) -> None:
    portal = Portal(house)  # type: ignore[arg-type]  # it has what a dock has of this
    portal.take(CREATED)
    portal.take(CREATED | {"eventId": 3}, OTHER)
    portal.take(event(8, "contact.creation"), BROKEN)
    forget(house, subject, tenant)
    assert bodies(house) == kept
