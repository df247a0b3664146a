"""The people of the samples: made up, of many scripts, and the same for the same number. Pure."""

from datetime import datetime
from typing import Final, NamedTuple

from shared.providers.turns import turn

NAMES: Final = (
    ("Ines", "Vandewalle"),
    ("Jürgen", "Größmann"),
    ("Zoë", "O’Hara-Núñez"),
    ("दीपिका", "शर्मा"),
    ("美咲", "渡辺"),
    ("Олена", "Коваль"),
    ("ليلى", "حداد"),
    ("Bjørn", "Åsen"),
    ("Nguyễn", "Thị Hoa"),
    ("Amara 🌿", "Okafor"),
)
CITIES: Final = (
    ("Antwerpen", "BE", "Belgium", "2000"),
    ("Köln", "DE", "Germany", "50667"),
    ("Málaga", "ES", "Spain", "29001"),
    ("Pune", "IN", "India", "411001"),
    ("京都市", "JP", "Japan", "600-8216"),
)


class Person(NamedTuple):
    """One of them; every fourth has no telephone."""

    first: str
    last: str
    email: str
    phone: str | None


def person(number: int) -> Person:
    """The person of a number."""
    first, last = NAMES[number % len(NAMES)]
    # Numbers in the range that is kept free for fiction.
    phone = None if number % 4 == 0 else f"+1202555{number % 10_000:04d}"
    return Person(first, last, f"customer{number}@shop.example", phone)


def new_phone(at: datetime) -> str:
    """The telephone that somebody has from then on, as an update tells it; nobody has it from the start."""
    return f"+1202557{turn(at, 10_000):04d}"
