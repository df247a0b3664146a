"""The certificates that Amazon SNS signs with: fetched once, their chain checked, kept while they hold.

Comes in: an address that `shared.providers.sns` has found to be Amazon's. Left behind: nothing; a process that starts
again fetches again. A fetch is rare (SNS changes its certificate about once a year) and bounded in time, size and
number, so that made-up addresses cost little.
"""

import re
import threading
import warnings
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import certifi
from cryptography import x509
from cryptography.x509 import verification
from cryptography.x509.oid import AuthorityInformationAccessOID

from shared import logs
from shared.errors import EgressRefused
from shared.providers import sns
from shared.providers.contract import Refusal
from shared.settings import Settings

CERTIFICATE_BYTES: Final = 65_536
TIMEOUT_SECONDS: Final = 4.0
KEPT: Final = 64  # addresses; there is one a region and year
REFUSED_HOLDS: Final = timedelta(minutes=5)
UNAVAILABLE_HOLDS: Final = timedelta(seconds=5)
FETCHES_A_MINUTE: Final = 20
_INTERMEDIATES: Final = 3
# Where the issuers of Amazon's certificates are published, over plain HTTP: what comes from there proves itself.
_ISSUER_URL: Final = re.compile(r"http://crt\.[a-z0-9.]{1,60}\.amazontrust\.com/[a-z0-9]{1,60}\.cer")
# Source: amazontrust.com/repository, read 2026-11; the last one is Amazon's too.
_ROOTS: Final = re.compile(r"Amazon Root CA [0-9]+|Starfield Services Root Certificate Authority - G2")

Fetch = Callable[[str], bytes]  # raises EgressRefused or OSError

_log = logs.get("ingress")


@dataclass(frozen=True, slots=True)
class _Kept:
    found: bytes | Refusal
    until: datetime


class NotKept(LookupError):
    """A certificate has to be fetched first."""


class Certificates:
    """The certificates by address."""

    def __init__(self, settings: Settings, *, fetch: Fetch | None = None) -> None:
        self._fetch = fetch or _fetcher(settings)
        self._stand_in = settings.sns_stand_in
        self._kept: dict[str, _Kept] = {}
        self._fetched: deque[datetime] = deque(maxlen=FETCHES_A_MINUTE)
        self._lock = threading.Lock()
        self._roots: list[x509.Certificate] = []

    def get(self, url: str, *, now: datetime) -> bytes | Refusal:
        """The certificate (PEM) at `url`, which has been vetted; or why it does not count, or is not to be had now."""
        kept = self._kept.get(url)
        if kept is not None and now < kept.until:
            return kept.found
        # One fetch at a time; whoever finds another one going on for long tells the sender to come again.
        if not self._lock.acquire(timeout=TIMEOUT_SECONDS / 2):
            return _unavailable("Another certificate is being fetched.")
        try:
            kept = self._kept.get(url)
            if kept is None or now >= kept.until:
                kept = self._look(url, now)
                self._keep(url, kept)
            return kept.found
        finally:
            self._lock.release()

    def kept(self, url: str, *, now: datetime) -> bytes | Refusal:
        """What `get` would give at once.

        Raises:
            NotKept: it would have to be fetched.
        """
        kept = self._kept.get(url)
        if kept is None or now >= kept.until:
            raise NotKept(url)
        return kept.found

    def _look(self, url: str, now: datetime) -> _Kept:
        if len(self._fetched) == FETCHES_A_MINUTE and now - self._fetched[0] < timedelta(minutes=1):
            return _Kept(_unavailable("Too many certificates were asked for."), now + UNAVAILABLE_HOLDS)
        try:
            found = self._of_stand_in(url)
            roots = self._amazons() if found is None else self._stand_ins()
            if found is None:
                self._fetched.append(now)
                found = self._fetch(url)
            until = self._chain_end(found, roots, now)
        except (EgressRefused, OSError) as error:
            _log.warning("certificate.unavailable", url=url, error=str(error))
            return _Kept(_unavailable("The certificate could not be fetched."), now + UNAVAILABLE_HOLDS)
        except (ValueError, verification.VerificationError) as error:
            _log.warning("certificate.refused", url=url, error=str(error))
            return _Kept(Refusal("certificate_refused", "The certificate is not one of Amazon's."), now + REFUSED_HOLDS)
        _log.info("certificate.fetched", url=url, until=str(until))
        return _Kept(found, until)

    def _chain_end(self, pem: bytes, roots: list[x509.Certificate], now: datetime) -> datetime:
        """When the chain from the leaf in `pem` to one of `roots` ends.

        Raises:
            VerificationError, ValueError: there is no such chain, or no certificate.
            EgressRefused, OSError: an issuer could not be fetched.
        """
        first, *others = x509.load_pem_x509_certificates(pem)
        if not others:
            others = self._issuers(first, roots)
        name = next((name for name in sns.dns_names(first) if name.startswith(("sns.", "sns-signing."))), "")
        policy = verification.PolicyBuilder().store(verification.Store(roots)).time(now)
        chain = policy.build_server_verifier(x509.DNSName(name)).verify(first, others)
        return min(certificate.not_valid_after_utc for certificate in chain)

    def _issuers(self, first: x509.Certificate, roots: list[x509.Certificate]) -> list[x509.Certificate]:
        """What stands between a certificate and the roots: SNS publishes the leaf alone."""
        names = {root.subject for root in roots}
        found = [first]
        while found[-1].issuer not in names and len(found) <= _INTERMEDIATES:
            found.append(x509.load_der_x509_certificate(self._fetch(issuer_url(found[-1]))))
        return found[1:]

    def _of_stand_in(self, url: str) -> bytes | None:
        """The certificate of the stand-in for SNS, where the setting names one and it has this certificate."""
        if self._stand_in is None:
            return None
        path = self._stand_in / url.rpartition("/")[2]  # vetted: letters, digits, hyphen and .pem
        return path.read_bytes() if path.exists() else None

    def _stand_ins(self) -> list[x509.Certificate]:
        if self._stand_in is None:
            return []
        return x509.load_pem_x509_certificates((self._stand_in / "root.pem").read_bytes())

    def _amazons(self) -> list[x509.Certificate]:
        if not self._roots:
            self._roots = amazon_roots()
        return self._roots

    def _keep(self, url: str, kept: _Kept) -> None:
        self._kept.pop(url, None)
        while len(self._kept) >= KEPT:
            # Made-up addresses go first, so that they do not crowd out the one that counts.
            made_up = (one for one, held in self._kept.items() if isinstance(held.found, Refusal))
            del self._kept[next(made_up, next(iter(self._kept)))]
        self._kept[url] = kept


def amazon_roots() -> list[x509.Certificate]:
    """Amazon's roots among those that everybody trusts."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one of the others has a serial number that is none
        known = x509.load_pem_x509_certificates(Path(certifi.where()).read_bytes())
    return [root for root in known if _ROOTS.fullmatch(_common_name(root))]


def _common_name(certificate: x509.Certificate) -> str:
    names = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(names[0].value) if names else ""


def issuer_url(certificate: x509.Certificate) -> str:
    """Where Amazon publishes the certificate of a certificate's issuer.

    Raises:
        ValueError: it does not say so, or names another place.
    """
    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except x509.ExtensionNotFound:
        access = x509.AuthorityInformationAccess([])
    for one in access:
        if one.access_method == AuthorityInformationAccessOID.CA_ISSUERS and _ISSUER_URL.fullmatch(
            str(one.access_location.value)
        ):
            return str(one.access_location.value)
    raise ValueError("the certificate does not say where Amazon publishes its issuer")


def _unavailable(message: str) -> Refusal:
    return Refusal("certificate_unavailable", message, status=503)


def _fetcher(settings: Settings) -> Fetch:
    networks = settings.allowed_networks()

    def fetch(url: str) -> bytes:
        # Late, since most ingresses never fetch one: requests is a third of what the process would load.
        from shared.egress.calls import call
        from shared.networks import networks_of

        reply = call(
            "GET",
            url,
            what="sns.certificate",
            timeout_seconds=TIMEOUT_SECONDS,
            max_bytes=CERTIFICATE_BYTES,
            allow_http=url.startswith("http://crt."),
            networks=networks_of(networks),
        )
        if reply.status != 200:  # noqa: PLR2004  # the one that brings a certificate
            raise OSError(f"the reply is a {reply.status}")
        return reply.body

    return fetch
