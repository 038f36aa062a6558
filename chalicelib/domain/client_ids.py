"""The ids of clients, made from the number that a client is added with, and the shard that follows from an id."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field

SHARD_COUNT = 16
SHARDS = tuple(f"{number:02d}" for number in range(SHARD_COUNT))
_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
MOST_GENERATIONS = 100  # of ids of one number: one more each time that a client with this number changes to another one
_KEY_LENGTHS = range(16, 65)  # bytes; BLAKE2b takes no more, and fewer could be guessed


@dataclass(frozen=True, slots=True)
class ClientIds:
    """The ids of one installation's clients. Without its key nobody can find the number of an id, or the reverse.

    Raises ValueError if the key has fewer than 16 bytes or more than 64.
    """

    key: bytes = field(repr=False)
    unkeyed: bool = False  # whether there may be clients from before there was a key

    def __post_init__(self) -> None:
        if len(self.key) not in _KEY_LENGTHS:
            raise ValueError("a key of client ids has 16 to 64 bytes")

    def id_for(self, phone_number: str, generation: int = 0) -> str:
        """The id for a number in E.164 form: 80 bits of keyed BLAKE2b in base 32, 16 characters.

        So a second client with the same number is noticed, and an import can be repeated. A client whose number changes
        keeps their id; the next client who is added with the old number gets the id of the next generation.
        """
        return _hashed(phone_number, generation, self.key)


def unkeyed_id_for(phone_number: str, generation: int = 0) -> str:
    """The id that a client was given before there were keys. Nobody new gets one."""
    return _hashed(phone_number, generation, b"")


def _hashed(phone_number: str, generation: int, key: bytes) -> str:
    text = f"{phone_number}#{generation}" if generation else phone_number
    digest = hashlib.blake2b(text.encode(), digest_size=10, key=key, person=b"ms-client").digest()
    return base64.b32encode(digest).decode().lower()


def shard_of(client_id: str) -> str:
    """The shard of a client, "00" to "15"."""
    return SHARDS[_BASE32.index(client_id[0]) % SHARD_COUNT]


def is_client_id(text: str) -> bool:
    """Whether the text could be a client's id."""
    return len(text) == 16 and all(character in _BASE32 for character in text)
