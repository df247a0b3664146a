"""One stack for all stories, made whole again before each."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.doubles.crm import Crm
from tests.doubles.shop import Shop
from tests.pipeline.merchant import Merchant
from tests.pipeline.stack import Stack


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/pipeline/" in item.path.as_posix():
            item.add_marker(pytest.mark.pipeline)


class Keeper:
    """Keeps one stack going from story to story, and replaces one that cannot be made whole."""

    def __init__(self) -> None:
        self._stack: Stack | None = None
        self._ends = ExitStack()

    def whole(self) -> Stack:
        """A stack in which everything runs."""
        try:
            if self._stack is not None:
                self._stack.heal()
                return self._stack
        except (AssertionError, TimeoutError):
            self.close()  # the story that broke it has failed; the others must not fail with it
        # Not below pytest's own folder: each run closes that to other users, and as root PostgreSQL is one.
        self._stack = Stack(Path(self._ends.enter_context(TemporaryDirectory(prefix="crossdock-stack-"))))
        self._ends.callback(self._stack.stop)
        self._stack.start()
        return self._stack

    def close(self) -> None:
        """End the stack, if there is one."""
        self._stack = None
        self._ends.close()


@pytest.fixture(scope="session")
def keeper() -> Iterator[Keeper]:
    """The session's stack."""
    keeper = Keeper()
    try:
        yield keeper
    finally:
        keeper.close()


@pytest.fixture
def stack(keeper: Keeper) -> Stack:
    """Everything running."""
    return keeper.whole()


@pytest.fixture
def crm() -> Iterator[Crm]:
    """A receiver of this story's own."""
    with Crm() as crm:
        yield crm


@pytest.fixture
def merchants(stack: Stack) -> Iterator[Callable[[], Merchant]]:
    """Opens accounts, whose subscriptions end with the story."""
    opened: list[Merchant] = []

    def open_one() -> Merchant:
        opened.append(Merchant.open(stack))
        return opened[-1]

    yield open_one
    stack.servers.wait()
    for merchant in opened:
        merchant.close()


@pytest.fixture
def merchant(merchants: Callable[[], Merchant]) -> Merchant:
    """One account."""
    return merchants()


@pytest.fixture
def shop(merchant: Merchant) -> Shop:
    """Its Shopify shop."""
    return merchant.shop()
