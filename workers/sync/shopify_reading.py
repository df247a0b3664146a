"""Reads a page of a stage, and then, one call at a time, the lists within its nodes that go on.

Comes in: a stage and a cursor, or where a list goes on. Comes out: a page's nodes and where their lists go on, or more
of one list. Nothing is left behind, and each call is one question to the shop: whoever asks can stop after any.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from shared import logs
from workers.sync.shopify_api import ShopifyApi
from workers.sync.shopify_stages import Inner, Stage
from workers.sync.upstream import UpstreamFailed

_MALFORMED: Final = (KeyError, TypeError)

_log = logs.get("upstream")


@dataclass(frozen=True, slots=True)
class More:
    """Where a list within a node goes on."""

    index: int  # the node's, in its page
    owner: str  # the id of what is asked for
    cursor: str


@dataclass(frozen=True, slots=True)
class Page:
    """Nodes, each with as much of its lists as came with it and without their paging."""

    nodes: list[dict[str, Any]]
    after: str | None  # the cursor of the next page
    rest: list[More]


def read_page(api: ShopifyApi, stage: Stage, after: str | None) -> Page:
    """A page of a stage.

    A node whose list cannot be read stays as it came: whoever makes something of it tells.

    Raises:
        UpstreamFailed: the shop could not be asked, or its answer has no page. Nor has it one with a node that is none,
            or that goes on without a cursor: what is passed over here would be told of as gone.
    """
    page: Any = api.run(f"sync.{stage.name}", stage.document, {"after": after}).get(stage.root)
    try:
        nodes, cursor = page["nodes"], _next(page, after)
    except _MALFORMED as error:
        raise UpstreamFailed("answer_malformed", f"The shop's answer has no page of {stage.root}") from error
    if not isinstance(nodes, list) or not all(isinstance(node, dict) for node in nodes):
        raise UpstreamFailed("answer_malformed", f"The shop's page of {stage.root} has a node that is none")
    cut = [_cut(stage.inner, node, index) for index, node in enumerate(nodes)] if stage.inner else []
    return Page(nodes, cursor, [more for more in cut if more])


def read_more(api: ShopifyApi, inner: Inner, more: More) -> tuple[list[Any], More | None]:
    """The next items of a list, and where it goes on after them; none, if what had the list is gone since.

    Raises:
        UpstreamFailed: the shop could not be asked, or its answer does not have the list.
    """
    try:
        return _ask(api, inner, more)
    except _MALFORMED as error:
        raise UpstreamFailed("answer_malformed", f"The shop's answer has no {inner.name} of {inner.root}") from error


def extend(inner: Inner, node: dict[str, Any], items: list[Any]) -> None:
    """Put more items on the node's list."""
    _at(node, inner.asked + inner.within)[inner.name].extend(items)


def whole(api: ShopifyApi, inner: Inner, node: dict[str, Any]) -> dict[str, Any]:
    """The node with its list to the end, however many calls that takes; as it came where that cannot be read.

    Raises:
        UpstreamFailed: the shop could not be asked.
    """
    came = _at(node, inner.asked + inner.within)
    listed = came.get(inner.name) if came else None
    more = _cut(inner, node, 0)
    try:
        while more:
            items, more = _ask(api, inner, more)
            extend(inner, node, items)
    except _MALFORMED:
        _log.warning("shop.node_malformed", node=str(node.get("id")), part=inner.name)
        _at(node, inner.asked + inner.within)[inner.name] = listed
    return node


def _cut(inner: Inner, node: dict[str, Any], index: int) -> More | None:
    """Take the paging off the node's list; where the list goes on, if it does."""
    asked = _at(node, inner.asked)
    holder = _at(asked, inner.within)
    if holder is None or inner.name not in holder:
        return None
    try:
        items, cursor = list(holder[inner.name]["nodes"]), _next(holder[inner.name], None)
        more = None if cursor is None else More(index, _id(asked), cursor)
    except _MALFORMED:
        _log.warning("shop.node_malformed", node=str(node.get("id")), part=inner.name)
        return None
    holder[inner.name] = items
    return more


def _ask(api: ShopifyApi, inner: Inner, more: More) -> tuple[list[Any], More | None]:
    variables = {"id": more.owner, "inner": more.cursor}
    found = api.run(f"sync.{inner.root}.{inner.name}", inner.document, variables)[inner.root]
    if found is None:  # deleted since
        return [], None
    holder: Any = _at(found, inner.within)
    listed = holder[inner.name]
    cursor = _next(listed, more.cursor)
    return list(listed["nodes"]), None if cursor is None else replace(more, cursor=cursor)


def _at(node: Any, path: tuple[str, ...]) -> Any:
    """What is there on the path; `None` where that is no object."""
    for name in path:
        node = node.get(name) if isinstance(node, dict) else None
    return node if isinstance(node, dict) else None


def _id(node: Any) -> str:
    if not isinstance(node["id"], str):
        raise TypeError("its id is no text")
    return str(node["id"])


def _next(listed: Mapping[str, Any], after: str | None) -> str | None:
    """The cursor behind this page of a list; `None` at its end.

    Raises:
        KeyError, TypeError: it cannot be told whether this is the end, or the cursor leads to the same page again.
    """
    page = listed["pageInfo"]
    if page["hasNextPage"] is False:
        return None
    cursor = page["endCursor"]
    if page["hasNextPage"] is not True or not isinstance(cursor, str) or cursor == after:
        raise TypeError("there is more, and no cursor to it")
    return cursor
