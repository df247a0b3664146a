"""The one door out: every request to the outside is vetted, bounded and pinned here.

Comes in: a URL that somebody else chose. Left behind: nothing. `addresses` says which addresses may be reached,
`urls` checks a URL when it is set, `sessions` sends deliveries (over `connections`, each of which is a `wire`), `calls`
makes upstream calls (requests); the latter two are imported where they are used, so that the ingress loads neither.
"""

from shared.egress.urls import check_url, host_of
from shared.networks import Networks, networks_of

__all__ = ["Networks", "check_url", "host_of", "networks_of"]
