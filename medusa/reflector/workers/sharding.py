"""Which worker owns a session: computed from its name, so that no table of sessions has to be shared. No I/O."""

from __future__ import annotations

import hashlib

from medusa.reflector.session_name import SessionName

KEY_SIZE = 32
"""Bytes of the key. It is random in each run: with a known key, a user could choose ids that one worker owns."""


def owner_of(name: SessionName, key: bytes, workers: int) -> int:
    """The number of the worker that owns `name`, from 1 to `workers`; the same in all workers that share `key`."""
    digest = hashlib.blake2b(str(name).encode(), digest_size=8, key=key).digest()
    return 1 + int.from_bytes(digest, "big") % workers
