"""A limit on bursts, as an API keeps one: so many requests within so many seconds, whenever these begin."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta


@dataclass
class Window:
    """The requests of the last `seconds`; what is refused does not count."""

    seconds: float
    _times: list[datetime] = field(default_factory=list)

    def takes(self, at: datetime, most: int) -> bool:
        """Whether one more request is within the limit; if so it counts."""
        self._times = [time for time in self._times if time > at - timedelta(seconds=self.seconds)]
        if len(self._times) >= most:
            return False
        self._times.append(at)
        return True
