"""A dock: real servers with one account, one source, one subscription."""

import pytest
from sqlalchemy import Engine

from shared import valkey
from shared.crypto import KeyRing
from shared.settings import Settings
from tests.workers.inbound.dock import Dock


@pytest.fixture
def dock(engine: Engine, settings: Settings, queue: valkey.Client, ring: KeyRing) -> Dock:
    return Dock(engine, settings, queue, ring)
