"""Encryption at rest: AES-256-GCM with the key's id in front.

Format: 1 byte version (1), 1 byte key id, 12 bytes nonce, ciphertext with its 16-byte tag.
The associated data names account, table, column and row, so that a value copied elsewhere in
the database does not decrypt.
"""

import base64
import os
from functools import lru_cache
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

VERSION = 1


class CannotDecrypt(Exception):
    """The value is damaged, was moved, or its key is gone."""


def encrypt(
    plaintext: bytes, *, account_id: UUID, table: str, column: str, row_id: str = ""
) -> bytes:
    """Encrypt under the newest key (the first of ENCRYPTION_KEYS)."""
    key_id = settings.ENCRYPTION_KEYS[0][0]
    nonce = os.urandom(12)
    data = _associated(account_id, table, column, row_id)
    return bytes([VERSION, key_id]) + nonce + _cipher(key_id).encrypt(nonce, plaintext, data)


def decrypt(value: bytes, *, account_id: UUID, table: str, column: str, row_id: str = "") -> bytes:
    """Decrypt what `encrypt` made for the same place; raise CannotDecrypt otherwise."""
    value = bytes(value)
    if len(value) < 30 or value[0] != VERSION:
        raise CannotDecrypt("the value has no known format")
    data = _associated(account_id, table, column, row_id)
    try:
        return _cipher(value[1]).decrypt(value[2:14], value[14:], data)
    except InvalidTag:
        raise CannotDecrypt("the value was changed or moved") from None


def _associated(account_id: UUID, table: str, column: str, row_id: str) -> bytes:
    return f"{account_id}|{table}|{column}|{row_id}".encode()


@lru_cache(maxsize=16)
def _cipher(key_id: int) -> AESGCM:
    for known_id, encoded in settings.ENCRYPTION_KEYS:
        if known_id == key_id:
            return AESGCM(base64.b64decode(encoded))
    raise CannotDecrypt(f"encryption key {key_id} is not in ENCRYPTION_KEYS")
