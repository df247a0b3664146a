"""What Twilio posts of messages and calls: forms.

Comes in: `message.<status>` or `call.<status>`, a number and an instant. Comes out: the form; the same for the same
arguments. Pure. Source: twilio.com, docs/messaging/guides/webhook-request and docs/voice/api/call-resource, read
2026-11.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from shared.providers.contract import JSON
from shared.providers.form_body import Form

MAPPING: Final[Mapping[str, JSON]] = {
    "records": [
        {
            "kind": "user",
            "topics": ["message.received", "call.*"],
            "id": "From",
            "fields": {"phone": "From", "attributes": "{lastText: Body, callStatus: CallStatus}"},
        },
        {
            "kind": "user",
            "topics": ["message.sent", "message.delivered", "message.undelivered"],
            "id": "To",
            "fields": {"phone": "To", "attributes": "{messageStatus: MessageStatus}"},
        },
    ]
}
_ACCOUNT: Final = f"AC{620_471:032x}"
_OURS: Final = "+15005550006"
_UNREACHABLE: Final = "30005"


def _theirs(number: int) -> str:
    return f"+1202555{number % 10_000:04d}"


def _message(topic: str, number: int, at: datetime) -> Form:
    del at  # no message of Twilio's says when
    sid, status = f"SM{number:032x}", topic.partition(".")[2]
    common = {"MessageSid": sid, "SmsSid": sid, "AccountSid": _ACCOUNT, "ApiVersion": "2010-04-01"}
    if status == "received":
        said = {"From": _theirs(number), "To": _OURS, "Body": f"Waar is nr. {number}? 📦 & meer", "FromCountry": "US"}
        return Form(common | said | {"SmsStatus": status, "NumMedia": "0", "NumSegments": "1", "FromCity": ""})
    told = common | {"From": _OURS, "To": _theirs(number), "MessageStatus": status, "SmsStatus": status}
    return Form(told | {"ErrorCode": _UNREACHABLE} if status == "undelivered" else told)


def _call(topic: str, number: int, at: datetime) -> Form:
    status = topic.partition(".")[2]
    told = {
        "CallSid": f"CA{number:032x}",
        "AccountSid": _ACCOUNT,
        "ApiVersion": "2010-04-01",
        "From": _theirs(number),
        "To": _OURS,
        "CallStatus": status,
        "Direction": "inbound",
        "CallerName": "",
        "CallbackSource": "call-progress-events",
        "Timestamp": at.strftime("%a, %d %b %Y %H:%M:%S +0000"),
        "SequenceNumber": "0",
    }
    if status == "completed":
        told |= {"CallDuration": str(20 + number % 300), "SequenceNumber": "2"}
    return Form(told)


MAKERS: Final[Mapping[str, Callable[[str, int, datetime], Form]]] = {
    "message.received": _message,
    "message.sent": _message,
    "message.delivered": _message,
    "message.undelivered": _message,
    "call.ringing": _call,
    "call.completed": _call,
}
