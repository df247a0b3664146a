from datetime import UTC, datetime, timedelta, timezone

import pytest

from shared.versions import AHEAD_SECONDS, believed

CAME = datetime(2026, 11, 26, 10, 0, tzinfo=UTC)
LATEST = CAME + timedelta(seconds=AHEAD_SECONDS)


@pytest.mark.parametrize(
    ("at", "found"),
    [
        (CAME - timedelta(days=400), CAME - timedelta(days=400)),
        (CAME, CAME),
        (LATEST, LATEST),
        (LATEST + timedelta(microseconds=1), LATEST),
        (datetime.max.replace(tzinfo=UTC), LATEST),
        (datetime(9999, 12, 31, 23, 59, tzinfo=timezone(-timedelta(hours=14))), LATEST),
        # Without an offset it is UTC's, as everywhere.
        (datetime(2026, 11, 26, 9, 0), CAME - timedelta(hours=1)),  # noqa: DTZ001  # that is the point
        (datetime(2026, 11, 27, 9, 0), LATEST),  # noqa: DTZ001  # the same
    ],
)
def test_an_instant_is_believed_until_a_few_seconds_after_it_came(at: datetime, found: datetime) -> None:
    assert believed(at, came_at=CAME) == found
