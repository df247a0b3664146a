"""A house: real servers with one shop."""

import pytest
from sqlalchemy import Engine

from shared import valkey
from shared.crypto import KeyRing
from shared.inbox import Inbox
from shared.settings import Settings
from tests.workers.privacy.house import House
from workers.context import Context


@pytest.fixture
def house(engine: Engine, settings: Settings, queue: valkey.Client, ring: KeyRing) -> House:
    return House(Context(settings, engine, queue, ring, Inbox(queue, shards=settings.inbox_shards)))
