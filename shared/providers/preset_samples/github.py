"""What GitHub posts of a repository.

Comes in: the event's name, an issue's or a commit's number and an instant. Comes out: the body; the same for the same
arguments. Pure. Source: docs.github.com, webhooks/webhook-events-and-payloads, read 2026-11.
"""

import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from shared.providers import people
from shared.providers.contract import JSON

# Who did it, and what that was.
MAPPING: Final[Mapping[str, JSON]] = {
    "records": [
        {
            "kind": "user",
            "id": "sender.id",
            "fields": {
                "fullName": "sender.login",
                "attributes": "{lastTitle: issue.title || pull_request.title, lastCommit: after}",
            },
        }
    ]
}
_REPOSITORIES: Final = ("quay", "crane")
_EVENTS: Final = ("issues", "pull_request", "push")


def _time(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _sender(number: int) -> JSON:
    return {"login": f"person-{number}", "id": 71_000_000 + number, "type": "User", "site_admin": False}


def _told(number: int, /, **more: JSON) -> JSON:
    """A body: what is particular to an event, and what every one has."""
    name = _REPOSITORIES[number % len(_REPOSITORIES)]
    repository = {
        "id": 880_000_001 + number % len(_REPOSITORIES),
        "name": name,
        "full_name": f"north-quay/{name}",
        "private": True,
        "owner": {"login": "north-quay", "id": 70_000_001, "type": "Organization", "site_admin": False},
        "description": None,
        "default_branch": "main",
    }
    return {**more, "repository": repository, "sender": _sender(number)}


def _ping(_: str, number: int, at: datetime) -> JSON:
    hook = {
        "type": "Repository",
        "id": 550_000_001,
        "name": "web",
        "active": True,
        "events": list(_EVENTS),
        "config": {"content_type": "json", "insecure_ssl": "0", "url": "https://hooks.example.com/api/webhooks/github"},
        "created_at": _time(at),
        "updated_at": _time(at),
    }
    return _told(number, zen="A tide waits for no merge.", hook_id=hook["id"], hook=hook)


def _topic_of_work(number: int, at: datetime) -> dict[str, Any]:
    """What an issue and a pull request have in common."""
    return {
        "id": 9_200_000_000 + number,
        "number": number,
        "title": f"Kraan {number} klemt – größer als gedacht",
        "body": None if number % 2 else "Siehe Foto 📷",
        "state": "open",
        "user": _sender(number),
        "labels": [{"id": 61, "name": "bug", "color": "d73a4a", "default": True}] if number % 3 == 0 else [],
        "created_at": _time(at),
        "updated_at": _time(at),
        "closed_at": None,
    }


def _issue(_: str, number: int, at: datetime) -> JSON:
    return _told(number, action="opened", issue=_topic_of_work(number, at))


def _pull_request(_: str, number: int, at: datetime) -> JSON:
    work = _topic_of_work(number, at) | {"title": f"Smeer kraan {number}", "draft": False, "merged": False}
    return _told(number, action="opened", number=number, pull_request=work)


def _commit_id(number: int, at: datetime) -> str:
    return hashlib.sha256(f"{number}/{_time(at)}".encode()).hexdigest()[:40]


def _push(_: str, number: int, at: datetime) -> JSON:
    first, last, email, _phone = people.person(number)
    author = {"name": f"{first} {last}", "email": email, "username": f"person-{number}"}
    commit = {
        "id": _commit_id(number, at),
        "message": f"Smeer kraan {number}",
        "timestamp": _time(at),
        "author": author,
        "committer": author,
        "added": [],
        "removed": [],
        "modified": ["cranes/README.md"],
    }
    return _told(
        number,
        ref="refs/heads/main",
        before="0" * 40,
        after=commit["id"],
        created=False,
        deleted=False,
        forced=False,
        commits=[commit],
        head_commit=commit,
        pusher={"name": author["username"], "email": email},
    )


MAKERS: Final[Mapping[str, Callable[[str, int, datetime], JSON]]] = {
    "ping": _ping,
    "push": _push,
    "issues": _issue,
    "pull_request": _pull_request,
}
