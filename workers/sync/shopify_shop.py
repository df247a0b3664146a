"""A shop's own data: its name, plan, currency and address.

Comes in: the shop's API. Left behind: `shop_metadata.json`, and in the source's settings the currency that product
webhooks, which name none, are counted in. A process that dies in the middle leaves the document before, or the new one.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection

from shared import documents, sources
from shared.db.engine import transaction
from shared.directory import publish
from shared.money import exponent
from workers.inbound.learn import Learned
from workers.sync import document_store
from workers.sync.job import Job
from workers.sync.shopify_api import ShopifyApi
from workers.sync.shopify_files import Read, metadata_file
from workers.sync.upstream import UpstreamFailed

SHOP: Final = """query Shop {
  shop { id name email myshopifyDomain primaryDomain { host url } currencyCode ianaTimezone plan { publicDisplayName }
    billingAddress { company address1 address2 zip city countryCodeV2 } }
}"""


def read_shop(api: ShopifyApi) -> dict[str, Any]:
    """The shop as it says it is.

    Raises:
        UpstreamFailed: it could not be asked.
    """
    shop = api.run("sync.shop", SHOP).get("shop")
    if not isinstance(shop, dict):
        raise UpstreamFailed("answer_malformed", "The shop's answer has no shop")
    return shop


def learn_currency(job: Job, shop: dict[str, Any]) -> None:
    """Have webhooks, which name no currency for products, count in the shop's own."""
    code = shop.get("currencyCode")
    try:
        exponent(str(code))
    except ValueError:
        return
    with transaction(job.context.engine) as connection:
        # Locked, or what a person sets between this and the writing would be lost.
        row = sources.get(connection, job.source["id"], account_id=None, lock=True)
        currencies = row["settings"].get("currencies") or {}
        if currencies.get(job.tenant) == code:
            return
        settings = {**row["settings"], "currencies": {**currencies, job.tenant: code}}
        changes = {"settings": settings}
        sources.change(connection, row["id"], account_id=row["account_id"], changes=changes, now=job.now)
    with transaction(job.context.engine) as connection:
        publish(connection, job.context.client)


def ask_shop(job: Job, domain: str, at: datetime) -> Callable[[Connection], Learned]:
    """Ask the shop for its own data; how its document is kept.

    Raises:
        UpstreamFailed: the shop could not be asked, or its document not be written.
    """
    del domain, at  # an integration is of one shop, and its document is of now
    shop = read_shop(ShopifyApi(job))
    learn_currency(job, shop)
    path, body = metadata_file(job, Read({"shop": [shop]}))
    # Outside of the transaction: over itself, if that fails.
    document_store.write(job.upstream, path, body, account_id=job.integration["account_id"])

    def keep(connection: Connection) -> Learned:
        documents.put(connection, account_id=job.integration["account_id"], path=path, body=body, now=job.now)
        return Learned()

    return keep
