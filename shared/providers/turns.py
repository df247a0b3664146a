"""What makes two samples of one record differ: the second that each is of.

An update that said what was said before would be no news, and nothing would be told of it. Pure.
"""

from datetime import datetime


def turn(at: datetime, below: int) -> int:
    """A number under `below`: the next one each second, until it comes round."""
    return int(at.timestamp()) % below
