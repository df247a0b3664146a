"""The exceptions of this house. Ours only: a provider's bad signature or a CRM's 500 is a value, not one of these.

CrossdockError
├── SettingsInvalid        a setting is missing, unknown or contradicts another
├── Unacceptable           what a person asked for cannot be done; carries a stable code and an HTTP status
│   ├── NotFound           not there, or not yours: the same answer, so that ids tell nothing
│   ├── Forbidden          the key may not do this
│   └── Conflict           it contradicts what is there
├── PayloadUnexpected      an authentic message does not have the shape its provider documents
├── SecretUndecipherable   a stored secret cannot be opened with the keys we have
├── QueueUnavailable       Valkey cannot take or give a message right now
└── EgressRefused          an outgoing request was refused before a byte left (address, scheme, port)
"""


class CrossdockError(Exception):
    """The root of all our own failures."""


class SettingsInvalid(CrossdockError):
    """Raised at start when settings are missing, unknown or contradict each other; the text lists every problem."""


class Unacceptable(CrossdockError):
    """Raised when a request of a person (API or CLI) cannot be carried out; nothing was changed.

    `code` is stable and machine readable, `message` is for people, `status` is the HTTP status it becomes.
    """

    status = 422

    def __init__(self, code: str, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        if status is not None:
            self.status = status


class NotFound(Unacceptable):
    """Raised for what is not there and for what belongs to another account, alike."""

    status = 404

    def __init__(self, noun: str) -> None:
        super().__init__(f"{noun}_not_found", f"There is no such {noun}.")


class Forbidden(Unacceptable):
    """Raised when the caller is known but may not do this."""

    status = 403


class Conflict(Unacceptable):
    """Raised when what is asked for contradicts what is there."""

    status = 409


class PayloadUnexpected(CrossdockError):
    """Raised by a provider's pure functions when an authentic payload lacks its documented shape.

    The message becomes `failed` with this text as its reason, and can be replayed after a fix.
    """


class SecretUndecipherable(CrossdockError):
    """Raised when no key of the ring opens a stored secret."""


class QueueUnavailable(CrossdockError):
    """Raised when Valkey cannot be reached or answers too slowly; the provider is told 503 and tries again."""


class EgressRefused(CrossdockError):
    """Raised when an outgoing request is refused before a byte leaves.

    `code` is one of `scheme_refused`, `address_refused`, `port_refused`, `host_unresolvable`, `url_malformed`.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
