"""Computes from a session's name which worker owns the session. So the workers need no common table. No I/O."""

from __future__ import annotations

import hashlib

from medusa.reflector.session_name import SessionName

KEY_SIZE = 32
"""The size of the key in bytes.

The key is random in each run. With a known key, a user could choose session ids that all belong to one worker.
"""


def owner_of(name: SessionName, key: bytes, workers: int) -> int:
    """Returns the number of the worker that owns the session `name`, from 1 to `workers`.

    Workers with the same `key` get the same result.
    """
    digest = hashlib.blake2b(str(name).encode(), digest_size=8, key=key).digest()
    return 1 + int.from_bytes(digest, "big") % workers
