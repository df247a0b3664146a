"""Secrets at rest: AES-256-GCM under a ring of keys, each ciphertext bound to the row it belongs to.

Comes in: a secret and the name of its place. Left behind: a text that opens only there. A process that dies in
the middle leaves nothing, since nothing here is stored.
"""

import base64
import binascii
import hashlib
import os
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.errors import SecretUndecipherable, SettingsInvalid
from shared.settings import Settings

NONCE_BYTES = 12
KEY_BYTES = 32


class KeyRing:
    """Encrypts with the first key, decrypts with whichever key a ciphertext names."""

    def __init__(self, keys: list[bytes]) -> None:
        if not keys or any(len(key) != KEY_BYTES for key in keys):
            raise SettingsInvalid(f"encryption_keys: each key must be {KEY_BYTES} bytes in base64, and one is needed")
        self._ciphers = {_key_id(key): AESGCM(key) for key in keys}
        self._first = _key_id(keys[0])

    def encrypt(self, secret: bytes, *, place: str) -> str:
        """`secret` as `v1.<key id>.<base64>`, which opens only with the same `place` (e.g. `subscription:<id>`)."""
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._ciphers[self._first].encrypt(nonce, secret, place.encode())
        return f"v1.{self._first}.{base64.b64encode(nonce + sealed).decode()}"

    def decrypt(self, text: str, *, place: str) -> bytes:
        """The secret in `text`.

        Raises:
            SecretUndecipherable: the key is not in the ring, the text is malformed, or it belongs elsewhere.
        """
        version, _, rest = text.partition(".")
        key_id, _, payload = rest.partition(".")
        cipher = self._ciphers.get(key_id)
        if version != "v1" or cipher is None:
            raise SecretUndecipherable(f"no key {key_id!r} in the ring")
        try:
            raw = base64.b64decode(payload, validate=True)
            return cipher.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], place.encode())
        except (binascii.Error, InvalidTag, ValueError) as error:
            raise SecretUndecipherable("the stored secret cannot be opened") from error


def _key_id(key: bytes) -> str:
    return hashlib.sha256(b"crossdock key id" + key).hexdigest()[:8]


def new_key() -> str:
    """A fresh key in the form that `encryption_keys` takes."""
    return base64.b64encode(os.urandom(KEY_BYTES)).decode()


def load_ring(settings: Settings) -> KeyRing:
    """The ring of the settings, or of the key file in data_dir, which is made (mode 0600) when there is none.

    Safe to race: whoever creates the file first wins, and the others read it.

    Raises:
        SettingsInvalid: a key is not 32 bytes in base64.
    """
    text = settings.encryption_keys.get_secret_value() or _key_file(settings.data_dir)
    try:
        keys = [base64.b64decode(part.strip(), validate=True) for part in text.split(",") if part.strip()]
    except binascii.Error as error:
        raise SettingsInvalid("encryption_keys: not base64") from error
    return KeyRing(keys)


def _key_file(data_dir: Path) -> str:
    path = data_dir / "encryption.key"
    if not path.exists():
        data_dir.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(f".{os.getpid()}")
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(new_key())
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)  # fails if another process was first; then its key counts
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text()
