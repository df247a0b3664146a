"""Every destination by name. A new one is a file, a line here and its test; nothing is left behind."""

from shared.destinations.contract import Destination
from shared.destinations.hubspot import HUBSPOT
from shared.destinations.sheets import SHEETS
from shared.destinations.webhook import WEBHOOK
from shared.destinations.xwanai import XWANAI

DESTINATIONS: dict[str, Destination] = {
    destination.name: destination for destination in (WEBHOOK, XWANAI, HUBSPOT, SHEETS)
}
