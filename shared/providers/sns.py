"""Amazon SNS: what its messages look like, and whether Amazon signed them.

Comes in: the JSON envelope that SNS posts, and the certificate that it names, fetched and chained elsewhere. Comes
out: a refusal or none. The certificate's address is not signed, so it counts only where its form says that it is
Amazon's and its region is the topic's. Pure.
"""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from shared import signatures
from shared.payload import parse
from shared.providers.contract import Evidence, Refusal

Version = Literal["1", "2"]

NOTIFICATION: Final = "Notification"
SUBSCRIPTION: Final = "SubscriptionConfirmation"
UNSUBSCRIPTION: Final = "UnsubscribeConfirmation"
CONFIRMATIONS: Final = (SUBSCRIPTION, UNSUBSCRIPTION)

# What is signed, in this order; Subject only where there is one.
# Source: docs.aws.amazon.com/sns, "Verifying the signatures of Amazon SNS messages", read 2026-11.
_SIGNED: Final[Mapping[str, tuple[str, ...]]] = {
    NOTIFICATION: ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    SUBSCRIPTION: ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    UNSUBSCRIPTION: ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}
_OPTIONAL: Final = frozenset({"Subject"})
_FRAME: Final = ("SignatureVersion", "Signature", "SigningCertURL")
_HASHES: Final[Mapping[str, hashes.HashAlgorithm]] = {"1": hashes.SHA1(), "2": hashes.SHA256()}  # noqa: S303  # version 1 is what most topics still sign with
_ARN: Final = re.compile(r"arn:aws(?:-cn|-us-gov)?:sns:([a-z0-9-]{3,32}):[0-9]{12}:[A-Za-z0-9_-]{1,256}(?:\.fifo)?")
_HOST: Final = r"https://sns\.([a-z0-9-]{3,32})\.amazonaws\.com(?:\.cn)?"
_CERTIFICATE_URL: Final = re.compile(_HOST + r"/SimpleNotificationService-[A-Za-z0-9]{1,128}\.pem")
_TOKEN: Final = re.compile(r"[A-Za-z0-9_=.-]{16,1024}")
_RSA_BITS: Final = 2048
_FUTURE_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True)
class Envelope:
    """An SNS message whose fields are all there, as texts; whether it is genuine is another question."""

    type: str
    fields: Mapping[str, str]

    @property
    def topic_arn(self) -> str:
        """The topic, signed."""
        return self.fields["TopicArn"]


def read(body: bytes) -> Envelope | Refusal:
    """The envelope in a body, or why there is none."""
    if not body:
        return Refusal("body_empty", "The body is empty.")
    # Of a field that stands twice, somebody may have signed the other one. A NUL is signed like any character, and
    # refused it would be lost, since SNS does not send again: the drain says what is wrong with it.
    given, problem = parse(body, "The body", with_nul=True)
    if problem is not None:
        return Refusal("signature_malformed", f"{problem}.")
    if not isinstance(given, dict) or given.get("Type") not in tuple(_SIGNED):
        return Refusal("signature_malformed", "The body is not an SNS message.")
    if given.get("Signature") is None:
        return Refusal("signature_missing", "Signature is missing.")
    kind: str = given["Type"]
    names = (*_SIGNED[kind], *_FRAME)
    fields = {name: given[name] for name in names if given.get(name) is not None}
    missing = [name for name in names if name not in fields and name not in _OPTIONAL]
    if missing or not all(isinstance(value, str) for value in fields.values()):
        return Refusal("signature_malformed", "The SNS message lacks fields, or has some that are no texts.")
    return Envelope(kind, fields)


def canonical(fields: Mapping[str, Any]) -> bytes:
    """The bytes that are signed: each name and value on a line of its own."""
    present = [name for name in _SIGNED[fields["Type"]] if fields.get(name) is not None]
    return "".join(f"{name}\n{fields[name]}\n" for name in present).encode()


def check(
    envelope: Envelope, evidence: Evidence, *, versions: Sequence[str], tolerance_seconds: float
) -> Refusal | None:
    """Passes an envelope that Amazon signed for this topic's region, at most `tolerance_seconds` ago."""
    fields = envelope.fields
    version, url = fields["SignatureVersion"], fields["SigningCertURL"]
    if version not in versions or version not in _HASHES:
        return Refusal("signature_malformed", "SignatureVersion is not one that the source accepts.")
    signature = signatures.decode(fields["Signature"], "base64")
    if signature is None:
        return Refusal("signature_malformed", "Signature is not base64.")
    region = region_of(envelope.topic_arn)
    if region is None or region != certificate_region(url):
        return Refusal("certificate_refused", "SigningCertURL is not an address of Amazon SNS in the topic's region.")
    if evidence.certificate is None:
        return Refusal("certificate_unavailable", "There is no way here to fetch the certificate.", status=503)
    pem = evidence.certificate(url)
    key = pem if isinstance(pem, Refusal) else check_certificate(pem, region, now=evidence.now)
    if isinstance(key, Refusal):
        return key
    try:
        key.verify(signature, canonical(fields), padding.PKCS1v15(), _HASHES[version])
    except InvalidSignature:
        return Refusal("signature_mismatch", "The signature does not match the message.")
    # The signature first: "expired" then means a genuine message that came late.
    return signatures.check_time(
        fields["Timestamp"],
        "iso",
        now=evidence.now,
        tolerance_seconds=tolerance_seconds,
        future_seconds=_FUTURE_SECONDS,
    )


def region_of(topic_arn: str) -> str | None:
    """The region in the ARN of an SNS topic; `None` when it is no such ARN."""
    match = _ARN.fullmatch(topic_arn)
    return match[1] if match else None


def certificate_region(url: str) -> str | None:
    """The region whose SNS publishes the certificate at `url`; `None` when it is not such an address.

    Any host of amazonaws.com will not do: everybody can have a bucket there.
    """
    match = _CERTIFICATE_URL.fullmatch(url)
    return match[1] if match else None


def confirmation_url(topic_arn: str, token: str) -> str | None:
    """Where a subscription is confirmed with the token that SNS gave; `None` when one of the two is malformed.

    Made here rather than taken from SubscribeURL, so that a message can lead nowhere else.
    """
    region = region_of(topic_arn)
    if region is None or not _TOKEN.fullmatch(token):
        return None
    end = ".cn" if topic_arn.startswith("arn:aws-cn:") else ""
    host = f"sns.{region}.amazonaws.com{end}"
    return f"https://{host}/?Action=ConfirmSubscription&TopicArn={topic_arn}&Token={token}"


def certificate_names(region: str) -> frozenset[str]:
    """The names that a certificate of SNS in a region may be for.

    Source: github.com/aws/aws-sdk-java-v2, services-custom/sns-message-manager, read 2026-11.
    """
    own = [f"{name}.{region}.amazonaws.com{end}" for name in ("sns", "sns-signing") for end in ("", ".cn")]
    return frozenset(("sns.amazonaws.com", *own))


def check_certificate(pem: bytes, region: str, *, now: datetime) -> rsa.RSAPublicKey | Refusal:
    """The public key of a certificate that is SNS's and in force; whose chain is sound is asked elsewhere."""
    certificate = leaf(pem)
    if certificate is None or certificate_names(region).isdisjoint(dns_names(certificate)):
        return Refusal("certificate_refused", "The certificate is not one of Amazon SNS.")
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        return Refusal("certificate_refused", "The certificate is not in force.")
    key = certificate.public_key()
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size < _RSA_BITS:
        return Refusal("certificate_refused", "The certificate's key is no RSA key, or too short.")
    return key


@lru_cache(maxsize=64)
def leaf(pem: bytes) -> x509.Certificate | None:
    """The first certificate of a PEM file; `None` when there is none that can be read."""
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError:
        return None


def dns_names(certificate: x509.Certificate) -> tuple[str, ...]:
    """The host names that a certificate is for."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (x509.ExtensionNotFound, ValueError):
        return ()
    return tuple(names.value.get_values_for_type(x509.DNSName))


def sign(fields: Mapping[str, Any], private_key: bytes, version: Version) -> dict[str, Any]:
    """`fields` as whoever holds the private key (PEM) signs them; the certificate's address is named after the key."""
    key = _key(private_key)
    signature = key.sign(canonical(fields), padding.PKCS1v15(), _HASHES[version])
    return {
        **fields,
        "SignatureVersion": version,
        "Signature": base64.b64encode(signature).decode(),
        "SigningCertURL": certificate_url(region_of(fields["TopicArn"]) or "us-east-1", key.public_key()),
    }


def certificate_url(region: str, key: rsa.RSAPublicKey) -> str:
    """Where SNS in `region` would publish the certificate of a key."""
    spki = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    name = hashlib.sha256(spki).hexdigest()[:32]
    return f"https://sns.{region}.amazonaws.com/SimpleNotificationService-{name}.pem"


@lru_cache(maxsize=8)
def _key(pem: bytes) -> rsa.RSAPrivateKey:
    key = serialization.load_pem_private_key(pem, password=None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError("SNS signs with RSA keys")
    return key
