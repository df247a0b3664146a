"""A stand-in for Amazon SNS: a root, an intermediate and a signing certificate of our own.

Comes in: a folder (the setting `sns_stand_in`). Left behind: `root.pem`, `key.pem` and the certificate in the file that
SNS would publish it under, which an ingress with the same setting believes. A process that dies in the middle leaves
what the next run completes.
"""

import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from shared.providers import sns

ROOT = "root.pem"
KEY = "key.pem"
DAYS = 365
_BITS = 2048
_PEM = serialization.Encoding.PEM


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate and its key."""

    key: rsa.RSAPrivateKey
    certificate: x509.Certificate


def new_key() -> rsa.RSAPrivateKey:
    """A key of the size that SNS uses."""
    return rsa.generate_private_key(65_537, _BITS)


def authority(name: str, *, under: Authority | None = None, since: datetime, until: datetime) -> Authority:
    """A root, or an intermediate `under` one."""
    key = new_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        _builder(subject, key.public_key(), under, since, until)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
    )
    return Authority(key, builder.sign(key if under is None else under.key, hashes.SHA256()))


def issue(
    under: Authority,
    key: rsa.RSAPublicKey,
    *,
    names: tuple[str, ...] = ("sns.amazonaws.com",),
    since: datetime,
    until: datetime,
    issuer_url: str | None = None,
) -> x509.Certificate:
    """A signing certificate for the public `key`; `issuer_url` is where it says that its issuer's is published."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    builder = (
        _builder(subject, key, under, since, until)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(_usage(signs_certificates=False), critical=True)
    )
    if issuer_url is not None:
        where = x509.AccessDescription(
            AuthorityInformationAccessOID.CA_ISSUERS, x509.UniformResourceIdentifier(issuer_url)
        )
        builder = builder.add_extension(x509.AuthorityInformationAccess([where]), critical=False)
    return builder.sign(under.key, hashes.SHA256())


def key_pem(key: rsa.RSAPrivateKey) -> bytes:
    """A private key as PEM, unencrypted."""
    return key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def pem(*certificates: x509.Certificate) -> bytes:
    """Certificates as one PEM file, the leaf first."""
    return b"".join(certificate.public_bytes(_PEM) for certificate in certificates)


def furnish(folder: Path, *, now: datetime) -> bytes:
    """The private key (PEM) that the stand-in in `folder` signs with; all of it is made when it is not there.

    Idempotent; it is made anew when its certificate has run out.
    """
    held = folder / KEY
    if held.exists() and _is_in_force(folder / ROOT, now):
        return held.read_bytes()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    since, until = now - timedelta(days=1), now + timedelta(days=DAYS)
    root = authority("Stand-in Root", since=since, until=until)
    issuing = authority("Stand-in RSA 2048", under=root, since=since, until=until)
    key = new_key()
    certificate = issue(issuing, key.public_key(), since=since, until=until)
    name = sns.certificate_url("us-east-1", key.public_key()).rpartition("/")[2]
    _write(folder / name, pem(certificate, issuing.certificate))
    _write(folder / KEY, key_pem(key))
    _write(folder / ROOT, pem(root.certificate))  # last: it says that the rest is there
    return held.read_bytes()


def _is_in_force(root: Path, now: datetime) -> bool:
    certificate = sns.leaf(root.read_bytes()) if root.exists() else None
    return certificate is not None and certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc


def _write(path: Path, content: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)


def _builder(
    subject: x509.Name, key: rsa.RSAPublicKey, under: Authority | None, since: datetime, until: datetime
) -> x509.CertificateBuilder:
    issuer_key = key if under is None else under.key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if under is None else under.certificate.subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
