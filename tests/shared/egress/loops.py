"""Loops whose clock does what a test says."""

import asyncio


class MovedLoop(asyncio.SelectorEventLoop):
    """A loop whose clock can be put forward."""

    ahead = 0.0

    def time(self) -> float:
        return super().time() + self.ahead


class StandingLoop(asyncio.SelectorEventLoop):
    """A loop whose clock stands still until it is moved."""

    now = 1000.0

    def time(self) -> float:
        return self.now
