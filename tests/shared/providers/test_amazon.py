"""What is particular to Amazon: SNS's envelope, and the Selling Partner API's notifications in it."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from shared.errors import PayloadUnexpected
from shared.providers import samples, sns
from shared.providers.amazon import RAW_HEADER, SQS_ID_HEADER
from shared.providers.contract import Change, Evidence, Headers, Identity, Outcome, Refusal, Request
from tests.doubles import sns as doubles
from tests.shared.providers.acting import NOW, SECRET, actor

ACT = actor("amazon")


def stored(name: str) -> dict[str, Any]:
    topic, _, variant = name.partition(samples.VARIANT)
    return next(
        orjson.loads(one.body) for one in samples.stored("amazon") if (one.topic, one.variant) == (topic, variant)
    )


def bare(body: Any) -> tuple[Identity, Outcome]:
    """What the poller's message means: the notification itself is the body."""
    return ACT.understand(Request("POST", "/sqs", Headers(), orjson.dumps(body)))


def change(name: str) -> Change:
    [found] = bare(stored(name))[1].changes
    return found


def signed(fields: dict[str, Any], **more: Any) -> bytes:
    given = {"Type": "Notification", "MessageId": "m-1", "TopicArn": doubles.TOPIC, "Message": "x"}
    times = {"Timestamp": "2026-11-22T09:30:00.000Z"}
    return orjson.dumps(sns.sign(given | times | fields, doubles.private_key(SECRET), "2") | more)


def judged(body: bytes) -> Refusal | None:
    return ACT.verify(Request("POST", "/", Headers(), body))


def refused(body: bytes) -> str | None:
    refusal = judged(body)
    return refusal.code if refusal else None


def test_an_order_becomes_an_order_without_what_amazon_does_not_say():
    found = change("ORDER_CHANGE")
    assert (found.kind, found.op, found.external_id) == ("order", "upsert", "408-5530021-9917743")
    assert found.version == datetime(2026, 10, 19, 6, 41, 9, 120_000, UTC)
    fields = found.fields
    assert (fields["status"], fields["financial_status"], fields["fulfillment_status"]) == (
        "open",
        "authorized",
        "partial",
    )
    assert [(line["id"], line["sku"], line["quantity"], line["status"]) for line in fields["line_items"]] == [
        ("90071992547409931", "Hängematte-Größe-L", 2, "fulfilled"),
        ("90071992547409932", None, 1, "unfulfilled"),
    ]
    assert {"email", "total_minor", "currency", "customer_external_id"}.isdisjoint(fields)
    assert fields["attributes"]["OrderStatus"] == "PartiallyShipped"


def test_a_cancelled_order_says_when_and_why_and_nothing_of_the_money():
    fields = change("ORDER_CHANGE--cancelled").fields
    assert fields["status"] == "cancelled"
    assert fields["cancelled_at"] == datetime(2026, 10, 19, 9, tzinfo=UTC)
    assert fields["cancel_reason"] == "Buyer Requested Cancel"
    assert {"financial_status", "fulfillment_status"}.isdisjoint(fields)


def test_at_the_level_of_an_item_the_other_lines_stay_as_they_are_known():
    fields = change("ORDER_CHANGE--item").fields
    assert "line_items" not in fields
    assert fields["attributes"]["OrderItems"][0]["OrderItemId"] == "90071992547409932"


def test_a_status_nobody_knows_is_kept_in_the_attributes_alone():
    body = stored("ORDER_CHANGE")
    body["Payload"]["OrderChangeNotification"]["Summary"]["OrderStatus"] = "Teleported"
    [found] = bare(body)[1].changes
    assert "status" not in found.fields
    assert found.fields["attributes"]["OrderStatus"] == "Teleported"


def test_what_eventbridge_wraps_is_the_same_message_as_the_bare_one():
    wrapped, plain = bare(stored("ORDER_CHANGE--eventbridge")), bare(stored("ORDER_CHANGE"))
    assert wrapped[0].key == plain[0].key
    assert wrapped == plain


def test_over_sns_it_is_the_same_message_as_over_sqs():
    body = stored("ORDER_CHANGE")
    over_sns = ACT.understand(ACT.request(ACT.sample(body=orjson.dumps(body))))
    assert over_sns == bare(body)


def test_feeds_and_reports_say_how_they_ended():
    done, fatal, report = (
        change(name)
        for name in ("FEED_PROCESSING_FINISHED", "FEED_PROCESSING_FINISHED--fatal", "REPORT_PROCESSING_FINISHED")
    )
    assert (done.kind, done.external_id, done.fields["status"]) == ("report", "feed:771000204418", "done")
    assert done.fields["document_id"].startswith("amzn1.tortuga")
    assert (fatal.fields["status"], fatal.fields["document_id"]) == ("failed", None)
    assert (report.external_id, report.fields["report_kind"]) == ("report:771000204419", "report")
    assert report.fields["status"] == "cancelled"


def test_without_a_seller_it_is_the_accounts():
    assert bare(stored("FEED_PROCESSING_FINISHED"))[0].tenant == "A2QUAYSIDE77X"
    assert bare(stored("FEED_PROCESSING_FINISHED--fatal"))[0].tenant == "amzn1.merchant.o.A2QUAYSIDE77X"


def test_names_count_whatever_their_case_and_not_twice():
    body = stored("FEED_PROCESSING_FINISHED")
    shouted = {name.upper(): value for name, value in body.items()}
    assert bare(shouted) == bare(body)
    with pytest.raises(PayloadUnexpected, match="twice"):
        bare(body | {"Payload": body["payload"]})


def test_another_notification_is_ignored_by_name():
    identity, outcome = bare(stored("ORDER_CHANGE") | {"NotificationType": "LISTINGS_ITEM_STATUS_CHANGE"})
    assert identity.topic == "LISTINGS_ITEM_STATUS_CHANGE"
    assert outcome.ignored


@pytest.mark.parametrize(
    "message", ["a plain text", "[ALARM] a queue is long", "[1]", '{"hello": 1}', '"\\ud800"', "NaN"]
)
def test_an_sns_message_that_is_no_notification_is_ignored(message):
    identity, outcome = bare({"Type": "Notification", "MessageId": "m", "Message": message})
    assert (identity.topic, identity.delivery_id) == ("Notification", "m")
    assert outcome.ignored


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ('{"NotificationType": "ORDER_CH', "Message is not JSON"),
        ('{"a": [{"NotificationType": "\\u0000"}]}', "Message holds a NUL character at a[0].NotificationType"),
        ('{"NotificationType": "\\ud800"}', "Message holds a lone surrogate at NotificationType"),
        ('{"SellerId": "A1", "SellerId": "A2"}', 'Message names "SellerId" twice'),
    ],
)
def test_what_is_wrong_with_the_inner_json_is_unexpected(message, reason):
    with pytest.raises(PayloadUnexpected, match=re.escape(reason)):
        bare({"Type": "Notification", "MessageId": "m", "Message": message})


def test_a_number_past_64_bits_inside_the_inner_json_keeps_its_digits():
    message = orjson.dumps(stored("ORDER_CHANGE")).decode().replace('"90071992547409931"', "18446744073709551617")
    [order] = bare({"Type": "Notification", "MessageId": "m", "Message": message})[1].changes
    assert order.fields["line_items"][0]["id"] == "18446744073709551617"


@pytest.mark.parametrize("name", ["Message", "Signature", "TopicArn", "Other"])
def test_an_envelope_that_says_something_twice_is_refused(name):
    body = signed({})
    for twice in (b'"x"', b"null"):
        whole = orjson.dumps({name: "y"} | orjson.loads(body))
        assert judged(whole) is None
        refusal = judged(b'{"%s":%s,' % (name.encode(), twice) + whole[1:])
        assert refusal is not None
        assert (refusal.code, refusal.status) == ("signature_malformed", 401)
        assert refusal.message == f'The body names "{name}" twice.'


def test_without_any_id_the_pollers_counts_and_else_the_bytes():
    body = stored("ORDER_CHANGE") | {"NotificationMetadata": {}}
    raw = orjson.dumps(body)
    one, other = (Request("POST", "/sqs", Headers([(SQS_ID_HEADER, name)]), raw) for name in ("a", "b"))
    assert ACT.understand(one)[0].key != ACT.understand(other)[0].key
    assert bare(body)[0].key == bare(body)[0].key


@pytest.mark.parametrize("topic", sns.CONFIRMATIONS)
def test_a_confirmation_is_asked_of_the_signed_topic(topic):
    request = ACT.request(ACT.sample(topic=topic))
    assert ACT.verify(request) is None
    [found] = ACT.understand(request)[1].changes
    assert found.external_id == doubles.TOPIC
    assert found.kind == ("confirmation" if topic == sns.SUBSCRIPTION else "disconnection")


def test_a_confirmation_leads_to_the_topics_own_region_and_nowhere_else():
    token = "a1" * 32
    assert sns.confirmation_url(doubles.TOPIC, token) == (
        f"https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn={doubles.TOPIC}&Token={token}"
    )
    chinese = doubles.TOPIC.replace("arn:aws:", "arn:aws-cn:").replace("eu-west-1", "cn-north-1")
    assert (sns.confirmation_url(chinese, token) or "").startswith("https://sns.cn-north-1.amazonaws.com.cn/?")
    for arn, wrong in ((doubles.TOPIC, f"{token}&Action=Unsubscribe"), (f"{doubles.TOPIC}\n", token), ("x", token)):
        assert sns.confirmation_url(arn, wrong) is None


def test_a_subject_is_signed_where_there_is_one_and_null_is_none():
    assert refused(signed({"Subject": "A subject"})) is None
    assert refused(signed({"Subject": None})) is None
    assert refused(signed({"Subject": "A subject"}, Subject="Another")) == "signature_mismatch"
    assert refused(signed({}, Subject="Added later")) == "signature_mismatch"


@pytest.mark.parametrize(
    "url",
    [
        "http://sns.eu-west-1.amazonaws.com/SimpleNotificationService-a.pem",
        "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-a.pem",  # not the topic's region
        "https://sns.eu-west-1.amazonaws.com.evil.example/SimpleNotificationService-a.pem",
        "https://evil.s3.amazonaws.com/SimpleNotificationService-a.pem",
        "https://sns.eu-west-1.amazonaws.com:444/SimpleNotificationService-a.pem",
        "https://a@sns.eu-west-1.amazonaws.com/SimpleNotificationService-a.pem",
        "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-a.pem?b",
        "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-a.pem\n",
        "https://sns.eu-west-1.amazonaws.com/x/SimpleNotificationService-a.pem",
        "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-../a.pem",
        "",
    ],
)
def test_a_certificate_from_elsewhere_is_never_fetched(url):
    def never(asked: str) -> bytes:
        raise AssertionError(asked)

    request = Request("POST", "/", Headers(), signed({}, SigningCertURL=url))
    refusal = ACT.provider.verify(request, ACT.source, Evidence(NOW, never))
    assert refusal is not None
    assert refusal.code == "certificate_refused"


def test_an_unknown_version_is_refused_and_so_is_one_the_source_does_not_take():
    body = signed({})
    assert refused(signed({}, SignatureVersion="3")) == "signature_malformed"
    strict = replace(ACT, source=replace(ACT.source, settings=ACT.source.settings | {"signatureVersions": ["1"]}))
    refusal = strict.verify(Request("POST", "/", Headers(), body))
    assert refusal is not None
    assert refusal.code == "signature_malformed"


@pytest.mark.parametrize(
    "body",
    [b"[]", b"null", b'{"Type": []}', b'{"Type": "Other"}', b'{"Type": "Notification", "Signature": 1}', b"\xff", b"["],
)
def test_what_is_no_envelope_is_refused(body):
    assert refused(body) in ("signature_malformed", "signature_missing")


def test_a_field_that_is_no_text_is_refused():
    assert refused(signed({}, Message=1)) == "signature_malformed"


def test_raw_delivery_is_refused():
    request = ACT.request(ACT.sample())
    raw = replace(request, headers=Headers([*request.headers.pairs(), (RAW_HEADER, "true")]))
    refusal = ACT.verify(raw)
    assert isinstance(refusal, Refusal)
    assert refusal.code == "signature_missing"


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({}, "topicArns"),
        ({"topicArns": ["arn:aws:sns:*"]}, "topicArns"),
        ({"sqs": {"queueUrl": "https://sqs.eu-west-1.amazonaws.com/1/q"}}, "sqs.region"),
        ({"topicArns": [doubles.TOPIC], "signatureVersions": ["3"]}, "signatureVersions"),
    ],
)
def test_wrong_settings_are_named(settings, problem):
    assert any(found.startswith(problem) for found in ACT.provider.check_settings(settings))


def test_a_queue_alone_is_enough():
    sqs = {"queueUrl": "https://sqs.eu-west-1.amazonaws.com/1/q", "region": "eu-west-1"}
    assert ACT.provider.check_settings({"sqs": sqs}) == []
