"""Which worker a session belongs to: arithmetic, so that no table of sessions has to be shared. No I/O."""

from __future__ import annotations

import hashlib

from medusa.reflector.session_name import SessionName

KEY_SIZE = 32
"""Bytes of the key, random in each run: who knew it could choose ids that all fall to one worker."""


def owner_of(name: SessionName, key: bytes, workers: int) -> int:
    """The number, 1 to `workers`, of the worker that `name` lives in, for as long as `key` is the same."""
    digest = hashlib.blake2b(str(name).encode(), digest_size=8, key=key).digest()
    return 1 + int.from_bytes(digest, "big") % workers
