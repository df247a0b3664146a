import hashlib
from pathlib import Path
from uuid import UUID

import orjson
import pytest

from shared import privacy
from shared.db.engine import transaction
from tests.workers.privacy.house import LATER, NOW, SHOP, House, merge, order, shipment, user
from workers.privacy.run import run


def ask(house: House, subject: str = "7") -> UUID:
    with transaction(house.engine) as connection:
        return privacy.ask_export(
            connection,
            account_id=house.account_id,
            provider="shopify",
            tenant=SHOP,
            subject=subject,
            orders=["901"],
            request_id="r-1",
            at=NOW,
        )


def test_all_that_is_known_of_a_customer_is_written_down_and_nothing_of_others(house: House) -> None:
    house.hear(user("7"), user("8"))
    house.hear(order("900", "7"), order("901", None), order("902", "8"), shipment("s1", "900"), shipment("s2", "902"))
    request_id = ask(house)
    assert run(house.context, now=LATER)["exports"] == 1
    [row] = house.all("exports")
    path = house.context.settings.data_dir / row["path"]
    written = path.read_bytes()
    assert (row["state"], row["finished_at"], row["bytes"]) == ("done", LATER, len(written))
    assert row["sha256"] == hashlib.sha256(written).hexdigest()
    assert path.stat().st_mode & 0o777 == 0o600
    found = orjson.loads(written)
    assert found["request"]["id"] == str(request_id)
    names = {name: [item.get("externalId") for item in items] for name, items in found["data"].items()}
    assert names.pop("events") == [None] * 6
    assert names == {"users": ["7"], "orders": ["900", "901"], "refunds": [], "shipments": ["s1"], "payments": []}
    assert found["data"]["users"][0]["email"] == "secret-7@x.example"
    assert "secret-8" not in written.decode()
    assert [entry["action"] for entry in house.all("audit_log")] == ["export.made"]
    assert run(house.context, now=LATER)["exports"] == 0


def test_who_was_merged_into_a_customer_is_shown_to_them_too(house: House) -> None:
    house.hear(user("6"), order("900", "6"))
    house.hear(merge("6", "7", minute=1), user("7"))
    ask(house)
    run(house.context, now=LATER)
    found = orjson.loads((house.context.settings.data_dir / house.all("exports")[0]["path"]).read_bytes())["data"]
    assert {(one["externalId"], one["mergedInto"]) for one in found["users"]} == {("6", "7"), ("7", None)}
    assert [one["customerExternalId"] for one in found["orders"]] == ["7"]
    assert "user.deleted" in [event["event"] for event in found["events"]]


def test_an_erasure_takes_the_export_files_of_the_same_person_with_it(house: House) -> None:
    house.hear(user("7"))
    ask(house)
    run(house.context, now=LATER)
    path = house.context.settings.data_dir / house.all("exports")[0]["path"]
    assert path.exists()
    house.forget("7")
    assert not path.exists()
    assert house.all("exports")[0]["path"] is None
    assert house.all("erasures")[0]["counts"]["files"] == 1


def test_an_erasure_takes_the_exports_of_whoever_was_merged_into_the_person_with_it(house: House) -> None:
    for number in ("5", "6", "7", "8"):
        house.hear(user(number))
        ask(house, number)
    run(house.context, now=LATER)
    files = {row["subject"]: house.context.settings.data_dir / row["path"] for row in house.all("exports")}
    house.hear(merge("5", "6", minute=1))
    house.hear(merge("6", "7", minute=2))
    house.forget("7")
    assert [subject for subject, path in files.items() if path.exists()] == ["8"]
    assert [row["subject"] for row in house.all("exports") if row["path"] is not None] == ["8"]
    assert house.all("erasures")[0]["counts"]["files"] == 3


def test_a_file_that_cannot_be_written_raises_an_alert_and_is_tried_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(house)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", _full)
        assert run(house.context, now=LATER)["failed"] == 1
    assert house.all("exports")[0]["state"] == "requested"
    [alert] = house.all("alerts")
    assert (alert["kind"], alert["resolved_at"]) == ("export.unwritable", None)
    assert run(house.context, now=LATER)["exports"] == 1
    assert house.all("alerts")[0]["resolved_at"] == LATER


def _full(*_: object) -> Path:
    raise OSError(28, "No space left on device")


def test_a_data_request_that_is_replayed_asks_for_no_second_export(house: House) -> None:
    asked = house.hear({"kind": "data_request", "id": "7", "fields": {"orders": ["900"], "request_id": "r-2"}})
    house.hear(replay=asked)
    [row] = house.all("exports")
    assert (row["subject"], row["detail"]) == ("7", {"orders": ["900"], "requestId": "r-2"})
