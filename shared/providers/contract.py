"""What a provider is: a frozen record of pure functions over bytes and values.

Comes in: a request as received and the source it was posted to. Comes out: a refusal or none, what the message is,
and what it means as changes. No sockets, no database, no clock: `now`, secrets and certificates are handed in, so a
process that dies in the middle leaves nothing.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Literal

JSON = Any  # a parsed JSON value
TOPIC_CHARACTERS: Final = 200  # providers' own have some fifty; what anyone may write has no end


def topic_of(told: str) -> str:
    """A topic as it is kept, shown and compared: where it is no word but a text without end, its beginning and `…`."""
    return told if len(told) <= TOPIC_CHARACTERS else told[: TOPIC_CHARACTERS - 1] + "…"


class Headers:
    """Request headers: names without case, every value kept, and `-` told from `_`."""

    __slots__ = ("_values",)

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            self._values.setdefault(name.lower(), []).append(value)

    @classmethod
    def each_once(cls, values: Mapping[str, str]) -> "Headers":
        """Headers of which every lower-case name is there once, as a server that folds repeats gives them."""
        made = cls()
        made._values = {name: [value] for name, value in values.items()}
        return made

    def get(self, name: str) -> str | None:
        """The one value of `name`; `None` when it is missing or was sent more than once."""
        values = self._values.get(name.lower(), ())
        return values[0] if len(values) == 1 else None

    def all(self, name: str) -> Sequence[str]:
        """Every value of `name`, in the order sent."""
        return tuple(self._values.get(name.lower(), ()))

    def pairs(self) -> list[tuple[str, str]]:
        """Every header as (lower-case name, value)."""
        return [(name, value) for name, values in self._values.items() for value in values]

    def ambiguous(self) -> str | None:
        """A name that is there in two spellings, with `-` and with `_`, as it first came; None when none is."""
        if not any("_" in name for name in self._values):
            return None
        first: dict[str, str] = {}
        for name in self._values:
            if first.setdefault(name.replace("_", "-"), name) != name:
                return first[name.replace("_", "-")]
        return None

    def without(self, names: Iterable[str]) -> "Headers":
        """These headers but for `names`, whose values are replaced by `[redacted]`."""
        hidden = {name.lower() for name in names}
        return Headers((name, "[redacted]" if name in hidden else value) for name, value in self.pairs())

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._values


@dataclass(frozen=True, slots=True)
class Request:
    """A request as received: the body is the raw bytes that signatures are made over."""

    method: str
    path: str  # without host, with the query string if there was one
    headers: Headers
    body: bytes
    query: Mapping[str, str] = field(default_factory=dict)
    url: str = ""  # the public URL as the provider was told it; never rebuilt from Host
    remote_addr: str = ""
    beneath: str = ""  # of the path, what follows the source's own: "" or "/..."

    def without_beneath(self, *, parts: int | None = None) -> "Request":
        """This request as it may be kept and shown where what is beneath the source's path is a secret.

        That, or its first `parts` parts, stand as `[redacted]`.
        """
        kept = [] if parts is None else self.beneath.split("/")[1 + parts :]
        hidden = "/".join(["", "[redacted]", *kept]) if self.beneath else ""
        path, url = _ended(self.path, self.beneath, hidden), _ended(self.url, self.beneath, hidden)
        return replace(self, path=path, url=url, beneath=hidden)


def _ended(path: str, old: str, new: str) -> str:
    bare, mark, query = path.partition("?")
    return (bare.removesuffix(old) + new if old else bare) + mark + query


@dataclass(frozen=True, slots=True)
class Source:
    """What a provider's functions may know of the source that was posted to."""

    id: str
    provider: str
    secrets: tuple[bytes, ...]  # every secret that counts now, newest first; never empty for a live source
    settings: Mapping[str, JSON] = field(default_factory=dict)  # the provider's own, e.g. tolerance_seconds


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is turned away: a value, since it is their failure and not ours.

    Codes: `signature_missing`, `signature_malformed`, `signature_mismatch`, `timestamp_missing`, `timestamp_expired`,
    `timestamp_in_future`, `header_duplicated`, `header_ambiguous`, `body_empty`, `tenant_unknown`,
    `challenge_refused`, `method_refused`, `call_missing`, `address_refused`, `content_type_unsupported` (415),
    `source_misconfigured` (503: the source's own settings are at fault).
    """

    code: str
    message: str
    status: int = 401


@dataclass(frozen=True, slots=True)
class Reply:
    """What to answer when it is not the usual `{"received": true}`, e.g. a challenge.

    `enqueue` says whether the request is a message all the same.
    """

    status: int
    body: bytes
    content_type: str
    enqueue: bool = False


@dataclass(frozen=True, slots=True)
class Evidence:
    """What verification needs beside the request: the instant, and public keys by URL where a scheme has them."""

    now: datetime
    # The certificate (PEM) published at a URL that the provider has vetted, its chain checked, or why there is none.
    certificate: Callable[[str], bytes | Refusal] | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """What a message is, before what it means."""

    topic: str  # the provider's word, e.g. customers/create
    key: bytes  # the same for every repeat of this delivery and for nothing else; hashed before it is stored
    delivery_id: str | None  # the provider's own id of the delivery, for people to search by
    tenant: str  # the shop or seller it concerns; "" when the provider has none
    occurred_at: datetime | None
    topics: tuple[str, ...] = ()  # those of its items, for a message that brings several things

    def __post_init__(self) -> None:
        # Here, so that no provider need think of it.
        object.__setattr__(self, "topic", topic_of(self.topic))
        if self.topics:
            object.__setattr__(self, "topics", tuple(dict.fromkeys(map(topic_of, self.topics))))

    @property
    def told(self) -> tuple[str, ...]:
        """The topics of all that it brings."""
        return self.topics or (self.topic,)


@dataclass(frozen=True, slots=True)
class Item:
    """Which of the things that one message brings together something is of."""

    index: int
    topic: str
    tenant: str  # its own, which need not be that of the others


@dataclass(frozen=True, slots=True)
class Problem:
    """Why one of these things cannot be read."""

    index: int
    topic: str | None  # None: it says none
    reason: str

    def __str__(self) -> str:
        return f"[{self.index}]: {self.reason}"

    @staticmethod
    def told(problems: Sequence["Problem"]) -> str:
        """All of them in a sentence for people."""
        ordered = sorted(problems, key=lambda problem: problem.index)
        several = "s" if len(problems) > 1 else ""
        return f"{len(problems)} item{several} cannot be read: {'; '.join(map(str, ordered))}"


@dataclass(frozen=True, slots=True)
class Change:
    """One statement about one record: it is now so, or it is gone.

    `kind` is one of shared/record_kinds.py, which says its fields too, or something to be done: `integration` (deleted:
    the app was uninstalled), `erasure`, `data_request`, `inquiry` (the message leaves it open how the `of` with this id
    is now, and the provider is asked), or `interaction` (adds to a user's counters, each `key` once).

    `adjust` tells of an order what became more or less, and not what it came to: its `line_items` are
    `{"id", "added", "removed"}`, and count once a `key`. A snapshot of the same instant or a later one has it already.
    `external_id` is the provider's id as text. `version` is the provider's own instant of this state: an older one
    never overwrites a newer one; `None` falls back to when it occurred or was received. `fields` are our field names; a
    field that is absent is unknown and is left as it is, `None` means empty. A deletion has none, but for
    `{"attributes": {"merged_into": id}}` of a user whose place another has.

    An order that is told of through its shipments has a part `shipment_<id>` for each, which says what the order would
    be if that shipment were all of it; the shipment names its orders in `attributes.orderIds`, and they follow it.

    `part` names a part of the record that is told of apart from the rest, with a clock of its own: a customer's consent
    to e-mail. Its versions are compared with each other alone, so neither hides the other; attributes have the last one
    as `<part>_at`. It revives nothing.

    `guesses` are the fields whose value the provider does not say but lets one guess, such as when a parcel arrived:
    they count only where nothing is known.
    """

    kind: str
    op: Literal["upsert", "delete", "adjust"]
    external_id: str
    version: datetime | None
    fields: Mapping[str, JSON] = field(default_factory=dict)
    part: str | None = None
    item: Item | None = None  # one item's changes hold together or not at all, whatever becomes of the others
    guesses: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a message means: changes in the order they hold, or why it says nothing to us (`ignored`).

    `problems` are the items that cannot be read, where a message brings several: it is failed for them, and the changes
    of the others are applied all the same.
    """

    changes: tuple[Change, ...] = ()
    ignored: str | None = None
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """What is needed to act as the provider: used by `crossdock simulate`, the demo, the bench and the tests."""

    topic: str
    body: bytes
    secret: bytes
    tenant: str
    delivery_id: str
    now: datetime
    url: str = ""
    settings: Mapping[str, JSON] = field(default_factory=dict)
    content_type: str = "application/json"  # of the body, for a provider whose senders post forms too


def plain_tenant(name: str) -> str | None:
    """The name without spaces around it, of printable characters, and no step of a path."""
    stripped = name.strip()
    return stripped if stripped.isprintable() and stripped not in ("", ".", "..") else None


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider. Adding one is a file with such a record, a line in the registry, its payloads and its test."""

    name: str
    title: str
    # Refuses or passes the request; compares bytes in constant time and tries every secret of the source.
    verify: Callable[[Request, Source, Evidence], Refusal | None]
    # The tenant from headers alone, for sharding in the ingress, which parses no body. "" when not in the headers.
    route: Callable[[Request, Source], str]
    # What the message is. `payload` is the parsed JSON body, or None when the body is not JSON.
    # Raises PayloadUnexpected.
    identify: Callable[[Request, Source, JSON], Identity]
    # What it means. Raises PayloadUnexpected.
    transform: Callable[[Identity, JSON, Source], Outcome]
    # Every topic that transform understands.
    topics: tuple[str, ...]
    # The headers a genuine request of this provider carries, signature included.
    sign: Callable[[Sample], list[tuple[str, str]]]
    # The body that a sample's body travels in, for a provider that signs inside the body. None: it travels bare.
    envelope: Callable[[Sample], bytes] | None = None
    # Tried before verify: a challenge (GET or POST) that is answered rather than queued. None: nothing special.
    challenge: Callable[[Request, Source, Evidence], Reply | Refusal | None] | None = None
    # Tried after verify, with the message's id, for providers that expect their own words back or that ask a
    # question in a signed request (Slack's url_verification). None, or an answer of None: the usual 200.
    reply: Callable[[Request, Source, str], Reply | None] | None = None
    # The body as JSON, for a provider whose senders post something else too, a form say; None: it is nothing of that
    # kind either. Asked only when the body is no JSON. Raises PayloadUnexpected.
    decode: Callable[[Request, Source], JSON] | None = None
    # Whether a body may be called a form; JSON every body may be called.
    reads_forms: Callable[[Source], bool] = lambda _: False
    # Whether identify goes by the body too, as it must with a `decode`. Where not, it is given None, and the body is
    # read only of a message that is news.
    identifies_by_body: bool = True
    # Checks a source's settings when they are set; problems as texts, none when all is well.
    check_settings: Callable[[Mapping[str, JSON]], list[str]] = lambda _: []
    # What of a source's settings is kept: a word that proves something is kept as its digest.
    kept_settings: Callable[[Mapping[str, JSON]], Mapping[str, JSON]] = lambda settings: settings
    # How a genuine request proves itself under these settings, in words for whoever enters it at the provider.
    in_words: Callable[[Mapping[str, JSON]], str] = lambda _: "The source's secret proves it."
    # Whether the tenant must be one of the source's integrations (unless the source says any tenant).
    has_tenants: bool = False
    # The tenant that is meant by what a person typed; None: it can be none. What it gives may stand in a URL or a path.
    tenant_of: Callable[[str], str | None] = plain_tenant
    tenant_example: str = "4711"
    # Whether a source has one integration at most, since its newest secret is that one's.
    is_of_one: bool = False
    # The headers that are a secret themselves (a static token) rather than a signature: never stored, never logged.
    secret_headers: Callable[[Source], tuple[str, ...]] = lambda _: ()
    # Whether the first part of the path beneath the source's own is a secret: never stored, never logged.
    path_token: Callable[[Source], bool] = lambda _: False
    # Topics that no source can be told to leave out, for the law asks for them.
    obligatory: frozenset[str] = frozenset()
    # What may be posted with; GET only for challenges.
    methods: tuple[str, ...] = ("POST",)
    # Whether requests may go to paths beneath the source's own, which then say what they are.
    subpaths: bool = False
    # How a genuine request goes out: its method, and its path beneath the source's own ("", "/..." or "?...").
    call: Callable[[Sample], tuple[str, str]] = lambda _: ("POST", "")

    def post(self, sample: Sample) -> tuple[list[tuple[str, str]], bytes]:
        """The headers and the body of a genuine request that brings a sample."""
        return self.sign(sample), self.envelope(sample) if self.envelope else sample.body


def no_tenant(request: Request, source: Source) -> str:
    """The `route` of a provider whose headers name no tenant: all of a source is in one order."""
    del request, source
    return ""
