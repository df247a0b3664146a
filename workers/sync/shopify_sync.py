"""Reads a shop whole, in slices: its data become two documents, and its products and stock our records.

Comes in: a claim with how far it got. Left behind, answer by answer, each in a transaction with the progress: pages; at
the end the documents, the records with their events, and no pages. A worker that dies in the middle, or whose time is
up, leaves what was answered, and the next goes on behind it, also in the middle of a list.
"""

import time
from dataclasses import asdict
from typing import Any, Final

from sqlalchemy import Connection

from shared import documents, logs, orders
from shared.clock import after, to_json
from shared.db.engine import transaction
from shared.providers.contract import Change
from workers.inbound.learn import LeftOut
from workers.sync import claims, document_store, left_out, shopify_pages
from workers.sync.claims import ClaimLost
from workers.sync.job import Done, GoOn, Job
from workers.sync.shopify_api import ShopifyApi
from workers.sync.shopify_files import Read, metadata_file, products_file
from workers.sync.shopify_reading import More, Page, read_more, read_page
from workers.sync.shopify_records import BATCH, changes_of, learn_batch, vanished
from workers.sync.shopify_shop import learn_currency, read_shop
from workers.sync.shopify_stages import STAGES, Stage
from workers.sync.upstream import UpstreamFailed

_NOT_GRANTED: Final = "access_denied"
_ORDER: Final = ("shop", *(stage.name for stage in STAGES), "records", "files")
_WRITTEN: Final = "written"

_log = logs.get("upstream")


def sync(job: Job) -> Done | GoOn:
    """The shop read, or as much of it as there was time for.

    `{"products", "variants", ..., "skipped": {stage: why}, "leftOut": {"count", "named"}, "events", "documents"}`.

    Raises:
        UpstreamFailed: the shop could not be asked.
    """
    began = time.monotonic()
    run = _Run(job)
    try:
        run.begin()
        while run.stage not in ("files", _WRITTEN):
            run.step()
            if job.is_over():
                return GoOn(run.progress, job.now)
        return run.finish()
    except UpstreamFailed as failure:
        if not failure.is_for_later:
            raise
        return GoOn(run.progress, after(job.now, time.monotonic() - began + failure.wait_seconds))
    except ClaimLost:
        return GoOn(run.progress, job.now)  # settles nothing, since the claim is another's


class _Run:
    """One slice of a sync."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.api = ShopifyApi(job)
        self.progress: dict[str, Any] = dict(job.claim.progress or {})
        self._read: Read | None = None
        self._changes: list[Change | LeftOut] | None = None

    def begin(self) -> None:
        """Have a beginning: where the slice before came to, or nothing read at all.

        Raises:
            ClaimLost: another worker reads the shop by now, and its pages are not ours to forget.
        """
        if "pages" not in self.progress:
            self._begin_anew()

    @property
    def stage(self) -> str:
        return str(self.progress["stage"])

    def step(self) -> None:
        """One question to the shop, or one batch of records."""
        if self.stage == "shop":
            shop = read_shop(self.api)
            self._keep_page(Page([shop], None, []))
            learn_currency(self.job, shop)
        elif self.stage == "records":
            self._learn()
        else:
            stage = next(one for one in STAGES if one.name == self.stage)
            try:
                self._read_on(stage)
            except UpstreamFailed as failure:
                if failure.code != _NOT_GRANTED or not stage.is_optional:
                    raise
                self.progress["skipped"][stage.name] = failure.message
                self._keep_page(Page([], None, []))

    def _read_on(self, stage: Stage) -> None:
        """More of a list within the last page, or, once all of those are whole, the next page."""
        rest = [More(**one) for one in self.progress["rest"]]
        if not rest or stage.inner is None:
            self._keep_page(read_page(self.api, stage, self.progress["after"]))
            return
        items, more = read_more(self.api, stage.inner, rest[0])
        part = shopify_pages.part(self.progress["pages"][stage.name] - 1, rest[0].index, items)
        rest = [more, *rest[1:]] if more else rest[1:]
        self._keep(shopify_pages.parts_of(stage), part, rest=rest, after_=self.progress["after"])

    def finish(self) -> Done:
        """The documents written, and nothing else left but what there is to show."""
        if self.stage == "files":
            self._write()
        return Done(self.progress["result"], after(self.job.now, self.job.settings.reconcile_hours * 3600))

    def _write(self) -> None:
        job, read = self.job, self._all()
        files = (metadata_file(job, read), products_file(job, read, skipped=self.progress["skipped"]))
        # Outside of the transaction, and again if that fails: a file is written over itself.
        for path, body in files:
            document_store.write(job.upstream, path, body, account_id=job.integration["account_id"])
        result = {
            **read.counts(),
            "skipped": self.progress["skipped"],
            "leftOut": self.progress.get("leftOut", left_out.NONE),
            "events": self.progress.get("events", 0),
            "documents": [path for path, _ in files],
            "startedAt": self.progress["startedAt"],
        }
        with transaction(job.context.engine) as connection:
            claims.keep(connection, job.claim)
            for path, body in files:
                documents.put(connection, account_id=job.integration["account_id"], path=path, body=body, now=job.now)
            shopify_pages.forget(connection, job.claim.integration_id)
            # Without it, a worker that dies before the claim is settled leaves a sync whose pages seem to be lost.
            self._advance(connection, {**self.progress, "stage": _WRITTEN, "result": result})

    def _begin_anew(self) -> None:
        progress: dict[str, Any] = {
            "stage": _ORDER[0],
            "after": None,
            "rest": [],  # where the lists within the last page go on
            "pages": {},  # how many there are of each stage
            "number": 0,  # of changes that are learned
            "startedAt": to_json(self.job.now),
            "skipped": {},
        }
        with transaction(self.job.context.engine) as connection:
            claims.keep(connection, self.job.claim)
            shopify_pages.forget(connection, self.job.claim.integration_id)
            self._advance(connection, progress)

    def _keep_page(self, page: Page) -> None:
        self._keep(self.stage, page.nodes, rest=page.rest, after_=page.after)

    def _keep(self, name: str, nodes: list[Any], *, rest: list[More], after_: str | None) -> None:
        """Remember what was read and that it was, together."""
        number = self.progress["pages"].get(name, 0)
        progress: dict[str, Any] = {
            **self.progress,
            "after": after_,
            "rest": [asdict(one) for one in rest],
            "pages": {**self.progress["pages"], name: number + 1},
        }
        if not rest and after_ is None:
            progress["stage"] = _ORDER[_ORDER.index(self.stage) + 1]
        with transaction(self.job.context.engine) as connection:
            claims.keep(connection, self.job.claim)
            shopify_pages.put(connection, self.job.claim.integration_id, name, number, nodes)
            self._advance(connection, progress)

    def _learn(self) -> None:
        """A batch of records brought to what the shop says, with their events."""
        job, done = self.job, int(self.progress["number"])
        if self._changes is None:
            self._changes = changes_of(self._all())
        batch = self._changes[done : done + BATCH]
        is_last = not batch
        with transaction(job.context.engine) as connection:
            claims.keep(connection, self.job.claim)
            if is_last:
                batch = [*vanished(connection, job, self._all(), started_at=self.progress["startedAt"])]
            learned = learn_batch(connection, job, batch)
            progress: dict[str, Any] = {
                **self.progress,
                "number": done + BATCH,
                "events": self.progress.get("events", 0) + learned.events,
                "leftOut": left_out.added(self.progress.get("leftOut"), learned.left_out, job),
            }
            if is_last:
                progress["stage"] = "files"
            self._advance(connection, progress)
        if learned.deliveries:
            orders.wake_dispatch(job.settings, job.context.client)

    def _all(self) -> Read:
        """Every page so far; read once a slice.

        Raises:
            UpstreamFailed: `pages_missing`: not all of them are there any more, and the next try begins anew.
        """
        if self._read is None:
            with transaction(self.job.context.engine) as connection:
                read = shopify_pages.read(connection, self.job.claim.integration_id, self.progress["pages"])
            if read is None:
                self._begin_anew()
                raise UpstreamFailed("pages_missing", "Pages that were read are gone, so the shop is read anew")
            self._read = read
        return self._read

    def _advance(self, connection: Connection, progress: dict[str, Any]) -> None:
        claims.advance(
            connection, self.job.claim, progress, now=self.job.now, lease_seconds=self.job.settings.lease_seconds
        )
        self.progress = progress
