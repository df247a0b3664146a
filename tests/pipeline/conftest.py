"""One stack for all stories, made whole again before each."""

from collections.abc import Callable, Iterator

import pytest

from tests.doubles.shop import Shop
from tests.pipeline.crm import Crm
from tests.pipeline.merchant import Merchant
from tests.pipeline.stack import Stack


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/pipeline/" in item.path.as_posix():
            item.add_marker(pytest.mark.pipeline)


@pytest.fixture(scope="session")
def _stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("stack"))
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()


@pytest.fixture
def stack(_stack: Stack) -> Stack:
    """Everything running."""
    _stack.heal()
    return _stack


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
