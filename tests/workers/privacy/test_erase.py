"""K21: a subject is erased everywhere, stays erased, and the audit log proves it."""

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import text

from shared import documents, privacy
from shared.db.engine import transaction
from tests.workers.privacy.house import LATER, NOW, SHOP, House, merge, order, shipment, user
from workers.privacy.erase import Step, erase
from workers.privacy.run import run

ROOT = Path(__file__).parents[3]


def test_k21_an_erased_person_is_nowhere_and_another_is_untouched(house: House) -> None:
    house.hear(user("7"))
    house.hear(user("7", minute=-5))  # stale: kept raw, without an event
    house.hear(order("900", "7"), shipment("s1", "900"))
    house.hear(order("901", None, email="secret-7@x.example"))  # a guest's, named in the request
    house.hear(user("7", minute=3), broken=True)  # ignored: nobody knows whom it is about
    house.hear(user("77"))
    house.hear(order("902", "77"))
    request_id = house.forget("7", orders=("901", "999"))

    left = house.everything()
    assert "secret-7@" not in left
    assert "secret-7-tracking" not in left
    assert left.count("secret-77@") > 3
    [erased, other] = house.all("users")
    assert (erased["email"], erased["deleted_at"], erased["redacted_at"]) == (None, LATER, LATER)
    assert (other["email"], other["redacted_at"]) == ("secret-77@x.example", None)
    kept = {row["external_id"]: row for row in house.all("orders")}
    assert kept["900"]["total_minor"] == 4200
    assert (kept["900"]["shipping_address"], kept["900"]["customer_external_id"]) == (None, None)
    assert kept["999"]["deleted_at"] is not None  # named before we ever had it: its late message finds a tombstone
    [proof] = house.all("audit_log")
    assert (proof["action"], proof["subject_id"]) == ("erasure.done", str(request_id))
    assert proof["detail"]["erased"] == {
        "users": 1,
        "orders": 2,
        "refunds": 0,
        "shipments": 1,
        "payments": 0,
        "events": 6,
        "deliveries": 6,
        "replies": 0,
        "messages": 5,
        "files": 0,
    }


def test_k21_what_a_person_wrote_on_a_line_is_erased_and_the_line_stays(house: House) -> None:
    words = {"properties": [{"name": "Engraving", "value": "secret-7-words"}]}
    lines = [{"id": "1", "sku": "A", "attributes": words}, {"id": "2", "sku": "B"}]
    house.hear(order("900", "7", line_items=lines), order("901", "77", line_items=lines[1:]))
    house.forget("7")
    house.hear(order("900", "7", minute=5, line_items=[*lines, {"id": "3", "sku": "C", "attributes": words}]))
    assert "secret-7-words" not in house.everything()
    kept = {row["external_id"]: row["line_items"] for row in house.all("orders")}
    assert [line["sku"] for line in kept["900"]] == ["A", "B", "C"]
    assert kept["901"] == [{"id": "2", "sku": "B"}]


def test_k21_subscribers_are_told_to_forget_in_words_that_hold_nothing_personal(house: House) -> None:
    house.hear(user("7"))
    house.forget("7")
    [event] = house.all("events")
    assert event["type"] == "user.deleted"
    data = orjson.loads(event["body"])["data"]["user"]
    assert set(data) == {"id", "externalId", "provider", "tenant", "deletedAt", "mergedInto"}
    owed = {row["event_id"]: (row["state"], row["last_error"]) for row in house.all("deliveries")}
    assert owed.pop(event["id"]) == ("pending", None)
    assert list(owed.values()) == [("discarded", "event_erased")]


def test_k21_that_somebody_is_gone_is_told_to_whoever_has_not_heard_it_yet(house: House) -> None:
    house.hear(user("6"), user("7"), order("900", "6"))
    house.hear({"kind": "order", "op": "delete", "id": "900", "minute": 1})
    house.hear(merge("6", "7", minute=1))
    house.forget("7")
    house.forget("7", orders=("900",))
    told = {event["id"]: event["type"] for event in house.all("events")}
    assert sorted(told.values()) == ["order.deleted", "user.deleted", "user.deleted"]
    owed = {told.get(row["event_id"]): row["state"] for row in house.all("deliveries")}
    assert owed == {"order.deleted": "pending", "user.deleted": "pending", None: "discarded"}


@pytest.mark.parametrize("minute", [-1, 0, 30, 600])
def test_k21_redaction_wins_over_everything_later_and_the_raw_message_is_not_kept(house: House, minute: int) -> None:
    house.hear(user("7"), order("900", "7"))
    house.forget("7")
    told = len(house.all("events"))
    late = house.hear(user("7", minute=minute))
    [row] = house.all("users")
    assert (row["email"], row["redacted_at"]) == (None, LATER)
    message = next(row for row in house.all("messages") if row["id"] == late.message_id)
    assert (message["state"], message["body"], message["headers"]) == ("stale", None, {})
    assert len(house.all("events")) == told


def test_k21_an_order_without_its_person_still_tells_what_happens_to_it(house: House) -> None:
    house.hear(order("900", "7"))
    house.forget("7")
    late = house.hear(order("900", "7", minute=90, fulfillment_status="fulfilled"))
    [row] = house.all("orders")
    assert (row["fulfillment_status"], row["email"], row["customer_external_id"]) == ("fulfilled", None, None)
    assert [event["type"] for event in house.all("events")] == ["order.updated", "order.fulfilled"]
    assert "secret-" not in house.everything()
    assert next(row for row in house.all("messages") if row["id"] == late.message_id)["body"] is None


def test_k21_what_comes_late_of_an_order_or_a_parcel_that_we_never_had_brings_nobody_back(house: House) -> None:
    house.hear(user("7"), order("900", "7"))
    house.forget("7", orders=("901",))
    late = [
        house.hear(order("905", "7"), shipment("s5", "905")),
        house.hear(order("905", None, minute=5, email="secret-7@x.example"), shipment("s5", "905")),
        house.hear(shipment("s1", "900")),
        house.hear(shipment("s2", "901")),
    ]
    assert "secret-7" not in house.everything()
    orders = {row["external_id"]: row for row in house.all("orders")}
    assert (orders["905"]["total_minor"], orders["905"]["customer_external_id"]) == (4200, None)
    shipments = {row["external_id"]: row for row in house.all("shipments")}
    assert shipments.keys() == {"s1", "s2", "s5"}
    assert {row["redacted_at"] is not None for row in (*shipments.values(), orders["905"])} == {True}
    kept = {row["id"]: row["body"] for row in house.all("messages")}
    assert [kept[message.message_id] for message in late] == [None] * 4
    house.hear(order("906", "77"), shipment("s6", "906"))
    assert house.everything().count("secret-77@") > 1


def found_by_the_guide(house: House, email: str) -> list[str]:
    """The orders that the query in docs/privacy.md finds."""
    [query] = re.findall(r"```sql\n(.*?)```", (ROOT / "docs/privacy.md").read_text(), re.DOTALL)
    with house.engine.connect() as connection:
        return sorted(row.external_id for row in connection.execute(text(query.replace("her@mail.example", email))))


def test_k21_a_guests_order_is_erased_where_it_is_named_and_never_by_its_email(house: House) -> None:
    mine = {"email": "secret-7@x.example"}
    house.hear(user("7"), order("900", "7"))
    unnamed = house.hear(order("901", None, **mine), shipment("s1", "901"))
    house.hear(order("902", None, **mine))
    house.forget("7", orders=("902", "903"))
    late = house.hear(order("904", None, minute=90, **mine))  # a guest again, as far as anybody can tell
    house.hear(order("902", None, minute=90, **mine), order("903", None, minute=600, **mine))

    orders = {row["external_id"]: row for row in house.all("orders")}
    assert {name: row["email"] for name, row in orders.items()} == {
        "900": None,
        "901": "secret-7@x.example",
        "902": None,
        "903": None,
        "904": "secret-7@x.example",
    }
    assert {name for name, row in orders.items() if row["redacted_at"] is None} == {"901", "904"}
    assert orders["903"]["deleted_at"] is not None  # named before it came, so it is not taken in
    assert found_by_the_guide(house, "Secret-7@x.example") == ["901", "904"]
    bodies = {row["id"]: row["body"] for row in house.all("messages")}
    assert {name for name, body in bodies.items() if body is not None} == {unnamed.message_id, late.message_id}
    told = {event["subject_id"] for event in house.all("events") if "secret-7@" in event["body"]}
    assert told == {orders["901"]["id"], orders["904"]["id"]}

    house.forget("7", orders=("901", "904"))  # which is how they go as well
    assert "secret-7" not in house.everything()


def test_k21_who_was_merged_into_a_person_is_that_person(house: House) -> None:
    house.hear(user("5"), order("899", "5"))
    house.hear(user("6"), order("900", "6"))
    house.hear(merge("5", "6", minute=1))
    house.hear(merge("6", "7", minute=2))
    house.hear(user("7", minute=3))
    house.hear(user("8"), order("902", "8"))
    house.forget("7")
    left = house.everything()
    assert not {f"secret-{number}@" for number in (5, 6, 7)} & {*re.findall(r"secret-\d@", left)}
    assert "secret-8@" in left
    assert {row["external_id"] for row in house.all("orders") if row["redacted_at"]} == {"899", "900"}
    for late in (user("6", minute=600), order("905", "5")):
        house.hear(late)
    assert not re.findall(r"secret-[56]@", house.everything())


def assert_only_one_is_erased_with_all_of_theirs(house: House) -> None:
    """Of 4 to 8, those that are 7; and 8 is nobody else."""
    left = house.everything()
    assert {*re.findall(r"secret-(\d)@", left)} == {"8"}
    assert "secret-7-tracking" not in left
    assert "Secretia Street" in left
    people = {row["external_id"]: row for row in house.all("users")}
    assert people["8"]["redacted_at"] is None
    for number in people.keys() - {"8"}:
        assert (people[number]["redacted_at"] is None, people[number]["email"]) == (False, None)


def test_k21_who_turns_out_to_be_an_erased_person_is_erased_as_well(house: House) -> None:
    house.hear(user("4"), user("5"), user("6"), user("7"), user("8"))
    house.hear(order("900", "6"), shipment("s1", "900"), order("901", "5"), order("902", "8"))
    with transaction(house.engine) as connection:
        for subject in ("5", "6", "8"):
            whose: dict[str, Any] = {"account_id": house.account_id, "provider": "shopify", "tenant": SHOP}
            privacy.ask_export(connection, **whose, subject=subject, at=NOW)
    assert run(house.context, now=LATER)["exports"] == 3
    house.hear(merge("4", "5", minute=1))
    first = house.forget("7")
    told = len(house.all("events"))
    merged = house.hear(merge("5", "6", minute=2), merge("6", "7", minute=3))
    # That the orders changed hands is told to nobody: they are about to be nobody's.
    assert [event["type"] for event in house.all("events")][told:] == ["user.deleted", "user.deleted"]
    asked = [row for row in house.all("erasures") if row["id"] != first]
    assert {(row["subject"], row["state"]) for row in asked} == {("7", "requested")}
    house.hear(user("6", minute=600))  # it comes before the erasure does, and brings nobody back
    assert run(house.context, now=LATER, seconds=60)["erasures"] == len(asked) == 1

    assert_only_one_is_erased_with_all_of_theirs(house)
    orders = {row["external_id"]: row for row in house.all("orders")}
    assert {name for name, row in orders.items() if row["redacted_at"]} == {"900", "901"}
    assert orders["900"]["total_minor"] == 4200
    assert {row["subject"] for row in house.all("exports") if row["path"]} == {"8"}
    assert [event["type"] for event in house.all("events")].count("user.deleted") == 4
    proofs = [row["detail"] for row in house.all("audit_log") if row["action"] == "erasure.requested"]
    assert proofs == [{"customer": "7", "merged": ["5", "6"]}]

    house.hear(replay=merged)  # which asks for no third one
    house.hear(merge("6", "7", minute=700))
    assert len(house.all("erasures")) == 2
    house.hear(order("905", "5", minute=900))
    assert_only_one_is_erased_with_all_of_theirs(house)


@pytest.mark.parametrize("minute", [-600, 600])
def test_k21_a_merge_into_an_erased_person_of_somebody_we_never_had_takes_their_orders(
    house: House, minute: int
) -> None:
    house.hear(user("7"), user("8"), order("900", "6"), order("902", "8"))
    house.forget("7")
    house.hear(merge("6", "7", minute=minute))
    assert run(house.context, now=LATER, seconds=60)["erasures"] == 1
    assert_only_one_is_erased_with_all_of_theirs(house)
    assert {row["external_id"]: row["redacted_at"] is not None for row in house.all("orders")} == {
        "900": True,
        "902": False,
    }


def test_k21_a_person_we_never_had_is_kept_out(house: House) -> None:
    house.forget("7")
    house.hear(user("7", minute=600))
    assert [row["email"] for row in house.all("users")] == [None]
    assert house.all("events") == []


def test_k21_a_worker_that_dies_between_any_two_steps_leaves_the_rest_to_the_next(house: House) -> None:
    house.hear(user("7"), order("900", "7"))
    with transaction(house.engine) as connection:
        request_id = privacy.ask_erasure(
            connection, account_id=house.account_id, provider="shopify", tenant=SHOP, subject="7", at=LATER
        )
    steps = 1
    while erase(house.context, request_id, now=LATER) is not Step.DONE:
        steps += 1
    assert steps == 3
    assert erase(house.context, request_id, now=LATER) is Step.DONE
    assert "secret-" not in house.everything()
    assert house.all("erasures")[0]["counts"]["messages"] == 1
    assert len(house.all("audit_log")) == 1


def test_k21_a_shop_is_erased_whole_and_may_begin_anew(house: House) -> None:
    house.hear(
        user("7"), user("8"), order("900", "7"), {"kind": "product", "id": "p1", "fields": {"title": "secret tea"}}
    )
    house.hear(user("7", first_name="Elsewhere"), tenant="other.myshopify.com")
    house.forget("8")
    house.forget("*")
    assert [(row["tenant"], row["external_id"]) for row in house.all("users")] == [
        (SHOP, "8"),
        ("other.myshopify.com", "7"),
    ]
    assert house.all("orders") == house.all("products") == []
    assert "Elsewhere" in house.everything()
    assert "secret-8" not in house.everything()
    kinds = [event["type"] for event in house.all("events")]
    assert kinds == ["user.created", "user.deleted", "user.deleted"]  # the other shop's; and that 8 and 7 are gone
    house.hear(user("7"), user("8"))
    assert [row["email"] for row in house.all("users") if row["tenant"] == SHOP] == [None, "secret-7@x.example"]


def test_a_request_in_a_message_is_carried_out_and_its_own_body_goes_too(house: House) -> None:
    house.hear(user("7"))
    asked = house.hear({"kind": "erasure", "op": "delete", "id": "7", "fields": {"orders": ["900"]}})
    house.hear(replay=asked)  # asks for the same again
    [row] = house.all("erasures")
    assert (row["subject"], row["orders"], row["due_at"] - row["requested_at"]) == ("7", ["900"], timedelta(days=30))
    done = run(house.context, now=LATER, seconds=60)
    assert done == {"exports": 0, "erasures": 1, "failed": 0, "waiting": 0, "unfinished": 0}
    assert all(message["body"] is None for message in house.all("messages"))


def test_a_receivers_words_about_an_erased_event_are_forgotten(house: House) -> None:
    house.hear(user("7"))
    [delivery] = house.all("deliveries")
    with transaction(house.engine) as connection:
        connection.execute(
            text("""
                INSERT INTO attempts (id, account_id, delivery_id, subscription_id, event_id, number, verdict, status,
                                      response_excerpt, duration_ms, started_at)
                SELECT uuidv7(), account_id, id, subscription_id, event_id, 1, 'again', 500, 'no secret-7@x', 3, :now
                FROM deliveries
            """),
            {"now": NOW},
        )
        connection.execute(text("UPDATE deliveries SET state = 'leased'"))
    house.forget("7")
    assert house.all("attempts")[0]["response_excerpt"] is None
    assert next(row for row in house.all("deliveries") if row["id"] == delivery["id"])["state"] == "leased"


def test_an_erasure_whose_documents_cannot_be_removed_holds_up_no_other_and_is_told(
    house: House, tmp_path: Path
) -> None:
    house.context = replace(
        house.context, settings=house.context.settings.model_copy(update={"documents_folder": tmp_path})
    )
    house.hear(user("7"))
    path = f"users/{house.account_id}/shopify/other.myshopify.com/shop_products.json"
    (tmp_path / path).mkdir(parents=True)  # a folder in the file's place cannot be removed as one
    with transaction(house.engine) as connection:
        documents.put(connection, account_id=house.account_id, path=path, body="{}", now=NOW)
        for tenant, subject in (("other.myshopify.com", "*"), (SHOP, "7")):
            privacy.ask_erasure(
                connection, account_id=house.account_id, provider="shopify", tenant=tenant, subject=subject, at=LATER
            )
    done = run(house.context, now=LATER, seconds=60)
    assert (done["erasures"], done["failed"]) == (1, 1)
    assert [row["state"] for row in house.all("erasures")] == ["requested", "done"]
    [alert] = house.all("alerts")
    assert (alert["kind"], alert["resolved_at"]) == ("erasure.failing", None)
    (tmp_path / path).rmdir()
    assert run(house.context, now=LATER, seconds=60)["erasures"] == 1
    [alert] = house.all("alerts")
    assert alert["resolved_at"] == LATER
    assert house.all("documents") == []
