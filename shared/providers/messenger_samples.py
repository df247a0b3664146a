"""Realistic bodies of ManyChat's and Facebook's topics.

Comes in: a topic, a number and an instant. Comes out: what they would send about that person then; the same for the
same arguments. Pure.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from shared.clock import to_json
from shared.providers import facebook, manychat, people
from shared.providers.contract import JSON
from shared.providers.turns import turn

PAGE: Final = "104200000000001"
FIRST_CONTACT: Final = 9_100_000_000_000_000_001  # past 2^53, as their newer ids are
FIRST_PERSON: Final = 7_300_000_000_000_001
OLDER_EVERY: Final = 3
VISITS_MAX: Final = 20
_TAGS: Final[Mapping[str, list[str]]] = {"subscriber.tag_added": ["vip", "summer"], "subscriber.tag_removed": []}


def _manychat(topic: str, number: int, at: datetime) -> JSON:
    first, last, email, phone = people.person(number)
    is_old = number % OLDER_EVERY == 0
    visits = number % VISITS_MAX
    if topic == "subscriber.custom_field_changed":
        visits = VISITS_MAX + turn(at, 10_000)
    contact: dict[str, Any] = {
        "key": f"user:{FIRST_CONTACT + number}",
        "id": FIRST_CONTACT + number if is_old else str(FIRST_CONTACT + number),
        "page_id": int(PAGE) if is_old else PAGE,
        "user_refs": [],
        "status": "active" if number % 5 else "inactive",
        "first_name": first,
        "last_name": last,
        "name": f"{first} {last}",
        "gender": None,
        "profile_pic": f"https://pictures.example/{number}.jpg",
        "locale": "nl_BE",
        "language": "Dutch",
        "timezone": "UTC+02",
        "live_chat_url": f"https://chat.example/{number}",
        "last_input_text": "Is er nog één? 😀",
        "optin_phone": number % 2 == 0,
        "phone": people.new_phone(at) if topic == manychat.UPDATED else phone,
        "optin_email": number % 2 == 1,
        "email": email,
        "subscribed": "2026-01-05T08:00:00-06:00",
        "last_interaction": to_json(at),
        "last_seen": to_json(at - timedelta(minutes=1)),
        "custom_fields": {"favourite_drink": "café crème", "visits": visits, "vip": number % 2 == 0, "shoe": None},
    }
    if not is_old:
        contact |= {
            "ig_username": f"person.{number}",
            "ig_id": 17_800_000_000_000_000 + number,
            "ig_last_interaction": None,
            "whatsapp_phone": phone,
            "optin_whatsapp": phone is not None,
            "tt_optin": False,
        }
    if topic == manychat.UPDATED and not is_old:
        return contact  # as an External Request sends it when nothing is added
    return {"event": topic, "data": contact | {"tags": _TAGS.get(topic, ["vip"])}}


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _message(number: int, at: datetime) -> dict[str, Any]:
    return {
        "sender": {"id": str(FIRST_PERSON + number)},
        "recipient": {"id": PAGE},
        "timestamp": _milliseconds(at),
        "message": {"mid": f"m_{number}_{_milliseconds(at)}", "text": "Hebben jullie dit in blauw? 💙"},
    }


def _postback(number: int, at: datetime) -> dict[str, Any]:
    postback = {"mid": f"p_{number}_{_milliseconds(at)}", "title": "Begin", "payload": "GET_STARTED"}
    return _message(number, at) | {"message": None, "postback": postback}


def _page_comment(number: int, at: datetime) -> dict[str, Any]:
    first, last, _, _ = people.person(number)
    value = {
        "item": "comment",
        "verb": "add",
        "from": {"id": str(FIRST_PERSON + number), "name": f"{first} {last}"},
        "post_id": f"{PAGE}_88001",
        "comment_id": f"88001_{number}",
        "created_time": int(at.timestamp()),
        "message": "Mooi! ✨",
    }
    return {"field": "feed", "value": value}


def _instagram_comment(number: int, at: datetime) -> dict[str, Any]:
    del at  # only the entry says when
    value = {
        "from": {"id": str(FIRST_PERSON + number), "username": f"person.{number}"},
        "media": {"id": "17900000000000001", "media_product_type": "FEED"},
        "id": f"1790000{number:010d}",
        "text": "Wauw",
    }
    return {"field": "comments", "value": value}


def _facebook(topic: str, number: int, at: datetime) -> JSON:
    kind, _, name = topic.partition("/")
    comment = _page_comment if kind == "page" else _instagram_comment
    entry: dict[str, Any] = {"id": PAGE, "time": _milliseconds(at)}
    if name == "messages":
        entry["messaging"] = [_message(number, at)]
    elif name == "messaging_postbacks":
        entry["messaging"] = [{key: item for key, item in _postback(number, at).items() if item is not None}]
    elif name in ("feed", "comments"):
        entry["changes"] = [comment(number, at)]
    else:
        # Several people of two pages in one request, and what a page said itself.
        echo = _message(number + 2, at)
        echo["message"] = echo["message"] | {"is_echo": True, "mid": f"e_{number}"}
        story = _message(number + 1, at)
        story["message"] = story["message"] | {"reply_to": {"story": {"id": "1", "url": "https://story.example/1"}}}
        entry |= {"messaging": [_message(number, at), story, echo], "changes": [comment(number, at)]}
        other = {"id": "104200000000002", "time": _milliseconds(at), "messaging": [_message(number + 5, at)]}
        return {"object": kind, "entry": [entry, other]}
    return {"object": kind, "entry": [entry]}


Makers = Mapping[str, Callable[[str, int, datetime], JSON]]

MANYCHAT: Final[Makers] = dict.fromkeys(manychat.TOPICS, _manychat)
FACEBOOK: Final[Makers] = dict.fromkeys(facebook.TOPICS, _facebook)
