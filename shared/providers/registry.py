"""Every provider there is. A line here enrols it: in the ingress, the drain, the API, the CLI and the tests."""

from shared.providers.amazon import AMAZON
from shared.providers.contract import Provider
from shared.providers.generic import GENERIC
from shared.providers.robaws import ROBAWS
from shared.providers.shopify import SHOPIFY

PROVIDERS: dict[str, Provider] = {provider.name: provider for provider in (SHOPIFY, AMAZON, ROBAWS, GENERIC)}
