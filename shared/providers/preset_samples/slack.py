"""What Slack posts of a workspace: events as JSON, commands and buttons as forms.

Comes in: the event's type, or what kind of form it is, a member's number and an instant. Comes out: the body; the same
for the same arguments. Pure. Source: docs.slack.dev, apis/events-api and interactivity, read 2026-11.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

import orjson

from shared.providers import people
from shared.providers.contract import JSON
from shared.providers.form_body import Form

MAPPING: Final[Mapping[str, JSON]] = {
    "records": [
        {
            "kind": "user",
            "topics": ["team_join", "user_change"],
            "id": "event.user.id",
            "version": "event.user.updated",
            "fields": {
                "fullName": "event.user.real_name",
                "email": "event.user.profile.email",
                "phone": "event.user.profile.phone",
                "timezone": "event.user.tz",
            },
        },
        {
            "kind": "user",
            "topics": ["message", "app_mention"],
            "id": "event.user",
            "fields": {"attributes": "{lastText: event.text}"},
        },
        {"kind": "user", "topics": ["command"], "id": "user_id", "fields": {"attributes": "{lastCommand: text}"}},
        {
            "kind": "user",
            "topics": ["block_actions"],
            "id": "user.id",
            "fields": {"attributes": "{lastAction: actions[0].value}"},
        },
    ]
}
_TEAM: Final = "T0NORTHQUAY"
_APP: Final = "A0SAMPLES"
_CHANNEL: Final = "C0CRANES"
_OLD_PROOF: Final = "only-for-samples"  # the word that Slack signed with before it had signatures


def _member_id(number: int) -> str:
    return f"U{number:09d}"


def _ts(at: datetime) -> str:
    return f"{at.timestamp():.6f}"


def _callback(topic: str, number: int, at: datetime, event: Mapping[str, JSON]) -> JSON:
    milliseconds, place = int(at.timestamp() * 1000), list(MAKERS).index(topic)
    return {
        "token": _OLD_PROOF,
        "team_id": _TEAM,
        "api_app_id": _APP,
        "event": {"type": topic, **event, "event_ts": _ts(at)},
        "type": "event_callback",
        "event_id": f"Ev{milliseconds}{place}{number:08d}",
        "event_time": int(at.timestamp()),
        "authorizations": [{"enterprise_id": None, "team_id": _TEAM, "user_id": "U0BOT", "is_bot": True}],
        "is_ext_shared_channel": False,
    }


def _member(topic: str, number: int, at: datetime) -> JSON:
    first, last, email, phone = people.person(number)
    member = {
        "id": _member_id(number),
        "team_id": _TEAM,
        "name": f"person.{number}",
        "deleted": False,
        "real_name": f"{first} {last}",
        "tz": "Europe/Brussels",
        "profile": {
            "title": "Kraanmachinist",
            "phone": people.new_phone(at) if topic == "user_change" else phone or "",
            "real_name": f"{first} {last}",
            "display_name": first,
            "email": email,
        },
        "is_bot": False,
        "updated": int(at.timestamp()),
    }
    return _callback(topic, number, at, {"user": member})


def _message(topic: str, number: int, at: datetime) -> JSON:
    text = f"Kraan {number} klemt 🏗️"
    event = {"channel": _CHANNEL, "user": _member_id(number), "text": text, "ts": _ts(at), "team": _TEAM}
    if topic == "app_mention":
        return _callback(topic, number, at, event | {"text": f"<@U0BOT> waar is bestelling {number}?"})
    return _callback(topic, number, at, event | {"channel_type": "channel"})


def _command(_: str, number: int, at: datetime) -> Form:
    return Form(
        {
            "token": _OLD_PROOF,
            "team_id": _TEAM,
            "team_domain": "north-quay",
            "channel_id": _CHANNEL,
            "channel_name": "kranen",
            "user_id": _member_id(number),
            "user_name": f"person.{number}",
            "command": "/verschip",
            "text": f"bestelling {number} – größte zuerst",
            "api_app_id": _APP,
            "is_enterprise_install": "false",
            "response_url": f"https://hooks.slack.example/commands/{number}",
            "trigger_id": f"{_ts(at)}.{number}",
        }
    )


def _action(topic: str, number: int, at: datetime) -> Form:
    button = {"action_id": "verschip", "block_id": "knoppen", "type": "button", "value": f"order-{number}"}
    payload: dict[str, Any] = {
        "type": topic,
        "user": {"id": _member_id(number), "username": f"person.{number}", "team_id": _TEAM},
        "api_app_id": _APP,
        "token": _OLD_PROOF,
        "container": {"type": "message", "message_ts": _ts(at), "channel_id": _CHANNEL, "is_ephemeral": False},
        "trigger_id": f"{_ts(at)}.{number}",
        "team": {"id": _TEAM, "domain": "north-quay"},
        "channel": {"id": _CHANNEL, "name": "kranen"},
        "response_url": f"https://hooks.slack.example/actions/{number}",
        "actions": [button | {"action_ts": _ts(at)}],
    }
    return Form({"payload": orjson.dumps(payload).decode()})


MAKERS: Final[Mapping[str, Callable[[str, int, datetime], JSON | Form]]] = {
    "team_join": _member,
    "user_change": _member,
    "message": _message,
    "app_mention": _message,
    "command": _command,
    "block_actions": _action,
}
