"""A double of Shopify over real HTTP: OAuth, the GraphQL API with pages and cost, and webhooks that are really posted.

It refuses what Shopify refuses: a wrong secret, a used code, a dead token, a document that asks for what the schema has
not, a page of more than 250, a query that costs too much, a field or a topic without its scope, an address that is not
https (unless `allow_http`). It can be made to fail. Tokens that end do so by `clock`. What it posts it tries again when
told to, and a webhook that fails eight times in a row is taken away.
"""

from tests.doubles.shopify.server import Shopify
from tests.doubles.shopify.shop import Shop

__all__ = ["Shop", "Shopify"]
