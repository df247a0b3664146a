"""What is particular to Facebook and Instagram."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import orjson
import pytest

from shared.providers import facebook
from shared.providers.contract import Change, Evidence, Headers, Outcome, Refusal, Reply, Request, Source
from tests.shared.providers.acting import NOW, actor

ACT = actor("facebook")
WORD = ACT.source.settings["verifyToken"]
PAGE = "104200000000001"


def understand(*entries: dict[str, Any], kind: str = "page") -> tuple[str, Outcome]:
    body = {"object": kind, "entry": [{"id": PAGE, "time": 1789971164} | entry for entry in entries]}
    identity, outcome = ACT.understand(ACT.request(ACT.sample(body=orjson.dumps(body))))
    return identity.topic, outcome


def message(person: str = "7", mid: str = "m1", **more: Any) -> dict[str, Any]:
    return {"sender": {"id": person}, "timestamp": 1789971164000, "message": {"mid": mid, "text": "😀"} | more}


def counted(outcome: Outcome) -> list[Change]:
    return [change for change in outcome.changes if change.kind == "interaction"]


def ask(**query: str) -> Reply | Refusal | None:
    asked = {f"hub.{name}": value for name, value in query.items()}
    request = replace(ACT.request(ACT.sample()), method="GET", query=asked, body=b"")
    assert ACT.provider.challenge is not None
    return ACT.provider.challenge(request, ACT.source, Evidence(NOW))


def test_the_challenge_is_answered_to_whoever_knows_the_word():
    answer = ask(mode="subscribe", verify_token=WORD, challenge="1158201444")
    assert answer == Reply(200, b"1158201444", "text/plain; charset=utf-8")


@pytest.mark.parametrize(
    "query",
    [
        {"mode": "subscribe", "verify_token": "another", "challenge": "1"},
        {"mode": "unsubscribe", "verify_token": WORD, "challenge": "1"},
        {"mode": "subscribe", "verify_token": WORD, "challenge": "<script>alert(1)</script>"},
        {"mode": "subscribe", "verify_token": WORD},
        {"mode": "subscribe", "verify_token": "é\udc80", "challenge": "1"},
        {},
    ],
)
def test_any_other_get_is_refused(query):
    answer = ask(**query)
    assert isinstance(answer, Refusal)
    assert (answer.code, answer.status) == ("challenge_refused", 403)


@pytest.mark.parametrize("again", ["hub.challenge=2", "hub.verify_token=x", "hub.mode=subscribe", "hub%2Echallenge=1"])
def test_a_challenge_that_says_something_twice_is_refused(again):
    query = f"hub.mode=subscribe&hub.verify_token={WORD}&hub.challenge=1"
    for path, kind in (
        (f"/x?{query}", Reply),
        (f"/x?{query}&other=1&other=2", Reply),
        (f"/x?{query}&{again}", Refusal),
    ):
        request = Request("GET", path, Headers(), b"", dict(parse_qsl(path.partition("?")[2])))
        assert ACT.provider.challenge is not None
        answer = ACT.provider.challenge(request, ACT.source, Evidence(NOW))
        assert isinstance(answer, kind), path
    assert isinstance(answer, Refusal)
    assert (answer.code, answer.status) == ("challenge_refused", 403)


def test_without_a_word_no_challenge_is_answered():
    silent = replace(ACT, source=replace(ACT.source, settings={}))
    query = {"hub.mode": "subscribe", "hub.verify_token": "", "hub.challenge": "1"}
    assert silent.provider.challenge is not None
    answer = silent.provider.challenge(Request("GET", "/", Headers(), b"", query), silent.source, Evidence(NOW))
    assert isinstance(answer, Refusal)


def test_a_post_is_no_challenge():
    assert ACT.provider.challenge is not None
    assert ACT.provider.challenge(ACT.request(ACT.sample()), ACT.source, Evidence(NOW)) is None


def test_one_request_can_tell_of_many_people_of_many_pages():
    topic, outcome = understand(
        {"messaging": [message("7", "m1"), message("8", "m2"), message("7", "m3")]},
        {"id": "other-page", "messaging": [message("9", "m4")]},
    )
    assert topic == "page/messages"
    users = [change for change in outcome.changes if change.kind == "user"]
    assert [change.external_id for change in users] == ["7", "8", "9"]
    assert users[2].fields["attributes"] == {"page_id": "other-page", "channel": "messenger"}
    assert [(change.external_id, change.fields["key"]) for change in counted(outcome)] == [
        ("7", "m1"),
        ("7", "m3"),
        ("8", "m2"),
        ("9", "m4"),
    ]


def test_each_interaction_has_metas_own_id_so_that_it_counts_once_in_any_company():
    alone = counted(understand({"messaging": [message(mid="m1")]})[1])
    among = counted(understand({"messaging": [message(mid="m0"), message(mid="m1")]})[1])
    assert alone[0].fields["key"] == among[1].fields["key"] == "m1"


@pytest.mark.parametrize(
    ("entry", "kind", "counter"),
    [
        ({"messaging": [message()]}, "page", "messages"),
        ({"messaging": [{"sender": {"id": "7"}, "timestamp": 1, "postback": {"payload": "X"}}]}, "page", "messages"),
        ({"messaging": [message(reply_to={"story": {"id": "1"}})]}, "instagram", "stories"),
        ({"messaging": [message(attachments=[{"type": "story_mention"}])]}, "instagram", "stories"),
        (
            {
                "changes": [
                    {
                        "field": "feed",
                        "value": {"item": "comment", "verb": "add", "from": {"id": "7"}, "comment_id": "c"},
                    }
                ]
            },
            "page",
            "comments",
        ),
        ({"changes": [{"field": "comments", "value": {"from": {"id": "7"}, "id": "c"}}]}, "instagram", "comments"),
    ],
)
def test_what_people_do_is_counted(entry, kind, counter):
    [interaction] = counted(understand(entry, kind=kind)[1])
    assert interaction.external_id == "7"
    assert {name: count for name, count in interaction.fields.items() if name != "key"} == {counter: 1}
    assert interaction.fields["key"]


@pytest.mark.parametrize(
    "entry",
    [
        {"messaging": [message(is_echo=True)]},
        {"messaging": [message(is_deleted=True)]},
        {"messaging": [{"sender": {"id": "7"}, "read": {"watermark": 1}}]},
        {"changes": [{"field": "feed", "value": {"item": "like", "verb": "add", "from": {"id": "7"}}}]},
        {"changes": [{"field": "feed", "value": {"item": "comment", "verb": "edited", "from": {"id": "7"}}}]},
        {
            "changes": [
                {"field": "feed", "value": {"item": "comment", "verb": "add", "from": {"id": PAGE}, "comment_id": "c"}}
            ]
        },
        {"changes": [{"field": "feed", "value": {"item": "comment", "verb": "add", "comment_id": "c"}}]},
        {"changes": [{"field": "leadgen", "value": {"leadgen_id": 1}}]},
        {},
    ],
)
def test_what_nobody_wrote_is_ignored(entry):
    outcome = understand(entry)[1]
    assert outcome.ignored
    assert not outcome.changes


def test_times_are_in_seconds_or_milliseconds():
    comment = {"item": "comment", "verb": "add", "from": {"id": "7"}, "comment_id": "c", "created_time": 1789971164}
    [of_comment] = counted(understand({"changes": [{"field": "feed", "value": comment}]})[1])
    [of_message] = counted(understand({"messaging": [message()]})[1])
    assert of_comment.version == of_message.version == datetime(2026, 9, 21, 6, 12, 44, tzinfo=UTC)


def test_an_instagram_name_is_known_from_comments():
    value = {"from": {"id": "7", "username": "leila"}, "id": "c"}
    user = understand({"changes": [{"field": "comments", "value": value}]}, kind="instagram")[1].changes[0]
    assert (user.fields["instagram_id"], user.fields["instagram_username"]) == ("7", "leila")


def test_a_wrong_setting_is_named():
    assert ACT.provider.check_settings({"verifyToken": "x" * 201})[0].startswith("verifyToken")


def test_of_the_verify_token_only_its_digest_is_kept() -> None:
    kept = facebook.kept_settings({"verifyToken": "a word of ours"})
    assert "a word of ours" not in str(kept)
    assert not facebook.FACEBOOK.check_settings(kept)
    assert facebook.kept_settings(kept) == kept, "what is kept is kept as it is"
    source = Source("s", "facebook", (b"secret",), kept)
    for word, accepted in (("a word of ours", True), ("a word of theirs", False), ("", False)):
        query = {"hub.mode": "subscribe", "hub.challenge": "1158201444", "hub.verify_token": word}
        answer = facebook.challenge(Request("GET", "/", Headers(), b"", query), source, Evidence(NOW))
        assert isinstance(answer, Reply) is accepted
