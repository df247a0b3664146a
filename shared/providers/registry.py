"""Every provider there is. A line here enrols it: in the ingress, the drain, the API, the CLI and the tests."""

from shared.providers.amazon import AMAZON
from shared.providers.contract import Provider
from shared.providers.facebook import FACEBOOK
from shared.providers.flipkart import FLIPKART
from shared.providers.generic import GENERIC
from shared.providers.manychat import MANYCHAT
from shared.providers.myntra import MYNTRA
from shared.providers.robaws import ROBAWS
from shared.providers.selloship import SELLOSHIP
from shared.providers.shopify import SHOPIFY

PROVIDERS: dict[str, Provider] = {
    provider.name: provider
    for provider in (
        SHOPIFY,
        AMAZON,
        FLIPKART,
        SELLOSHIP,
        MYNTRA,
        ROBAWS,
        MANYCHAT,
        FACEBOOK,
        GENERIC,
    )
}
