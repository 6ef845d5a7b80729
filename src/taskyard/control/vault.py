"""Sealing the values of secrets by the key of this installation, which is in a file and never in the database.

Scheme 1: AES-256-GCM, a random nonce of 12 bytes a value. The associated data are scheme, owner and name, so that a
row that was copied to another place does not open.
"""

import base64
import binascii
import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from taskyard.db.secrets import SealedRow
from taskyard.errors import SecretKeyWrong, SecretUnreadable
from taskyard.lifecycle.secret_names import SecretOwner

SCHEME = 1
"""How values are sealed now."""

KEY_BYTES = 32
"""AES-256."""

NONCE_BYTES = 12
"""What AES-GCM takes without hashing it first."""

KEY_ID_CHARS = 16
"""64 bits of a hash of the key: nobody makes two keys of one id by accident."""

KEY_FILE = "secrets.key"
"""The name of the key's file in the data directory."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a secret belongs."""

    owner: SecretOwner
    owner_id: UUID
    name: str

    def associated(self, scheme: int) -> bytes:
        """What a value is sealed together with."""
        return f"taskyard secret\0{scheme}\0{self.owner}\0{self.owner_id}\0{self.name}".encode()


class Vault:
    """The key of this installation, read when it is first needed. path None: this process has none."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self._key: bytes | None = None

    @property
    def key_id(self) -> str:
        """What the key is called in rows; tells nothing of the key. Raises SecretKeyWrong."""
        digest = hashlib.sha256(b"taskyard secret key\0" + self._read()).hexdigest()
        return digest[:KEY_ID_CHARS]

    def make(self) -> None:
        """The file is there with a new key, or as it was; only this user can read a new one. Raises OSError."""
        assert self.path is not None
        if self.path.exists():
            return
        fresh = self.path.with_name(f"{self.path.name}.{secrets.token_hex(4)}")
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(base64.b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(fresh, self.path)  # unlike a rename, it never takes the place of another's key
        except FileExistsError:
            pass
        finally:
            fresh.unlink()

    def seal(self, place: Place, value: str) -> SealedRow:
        """The row that holds this value at this place. Raises SecretKeyWrong."""
        # Imported on use: it takes 25 ms, and most servers hold no secrets.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = AESGCM(self._read()).encrypt(nonce, value.encode(), place.associated(SCHEME))
        return SealedRow(
            name=place.name,
            owner=place.owner,
            owner_id=place.owner_id,
            scheme=SCHEME,
            key_id=self.key_id,
            nonce=nonce,
            sealed=sealed,
        )

    def open(self, row: SealedRow) -> str:
        """The value in a row. Raises SecretUnreadable, SecretKeyWrong."""
        # Imported on use, as above.
        from cryptography.exceptions import InvalidTag

        # Imported on use, as above.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        if row.key_id != self.key_id:
            raise SecretUnreadable(
                row.name, f"it is sealed by key {row.key_id}, and {self.path} holds {self.key_id}"
            )
        if row.scheme != SCHEME:
            raise SecretUnreadable(row.name, f"this release does not know scheme {row.scheme}")
        place = Place(row.owner, row.owner_id, row.name)
        try:
            value = AESGCM(self._read()).decrypt(
                row.nonce, row.sealed, place.associated(row.scheme)
            )
        except InvalidTag as error:
            raise SecretUnreadable(row.name, "what is stored was changed or moved") from error
        return value.decode()

    def wrap(self, about: bytes, data: bytes) -> bytes:
        """The data sealed: a nonce, then what only this key and what it is about open. Raises SecretKeyWrong."""
        # Imported on use, as above.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + AESGCM(self._read()).encrypt(nonce, data, about)

    def unwrap(self, about: bytes, sealed: bytes) -> bytes | None:
        """The data that was sealed; null where key, data or what it is about are others. Raises SecretKeyWrong."""
        # Imported on use, as above.
        from cryptography.exceptions import InvalidTag

        # Imported on use, as above.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce, rest = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        try:
            return AESGCM(self._read()).decrypt(nonce, rest, about)
        except InvalidTag:
            return None

    def fingerprint(self, data: bytes) -> bytes:
        """32 bytes that tell whether data is the same, and to nobody without the key what it is. Raises SecretKeyWrong."""
        return hmac.digest(
            hashlib.sha256(b"taskyard fingerprint\0" + self._read()).digest(), data, "sha256"
        )

    def _read(self) -> bytes:
        if self._key is None:
            self._key = _read_key(self.path)
        return self._key


def _read_key(path: Path | None) -> bytes:
    """The key in a file. Raises SecretKeyWrong."""
    if path is None:
        raise SecretKeyWrong("this process has no key for secrets")
    try:
        key = base64.b64decode(path.read_bytes().strip(), validate=True)
    except OSError as error:
        raise SecretKeyWrong(
            f"the key for secrets cannot be read: {path}: {error.strerror}"
        ) from error
    except binascii.Error as error:
        raise SecretKeyWrong(f"{path} holds no key for secrets: it is no base64") from error
    if len(key) != KEY_BYTES:
        raise SecretKeyWrong(
            f"{path} holds no key for secrets: {len(key)} bytes instead of {KEY_BYTES}"
        )
    return key
