"""Applies a masking key to a payload, by XOR (RFC 6455 section 5.3).

Uses the C routine of the package `websockets` if it is installed.
"""

from __future__ import annotations

from typing import Callable, Union

Buffer = Union[bytes, bytearray, memoryview]

NO_MASK = b"\0\0\0\0"
"""The key of zeros, which leaves the payload unchanged. It is legal, and npm `watershed` always sends it."""

PURE_LIMIT = 4096
"""Bytes. Without the C routine, a larger payload is sent with NO_MASK.

To mask such payloads would take more time than all else that an agent does with its command's output. Unpredictable
keys protect proxies from scripts of web pages, and no such script runs here.
"""


def apply_mask_pure(data: Buffer, key: bytes) -> bytes:
    """Returns `data` XORed with the repeated 4-byte `key`.

    Does it in one operation on big integers, which is 50 times as fast as a loop over bytes.
    """
    size = len(data)
    if not size:
        return b""
    keys = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(data, "little") ^ int.from_bytes(keys, "little")).to_bytes(size, "little")


apply_mask: Callable[[Buffer, bytes], bytes] = apply_mask_pure
try:
    # This is the only import in medusa.protocol from outside the standard library. It is optional, because the archive
    # that agents run from does not contain this package.
    from websockets.speedups import apply_mask as _accelerated

    apply_mask = _accelerated
except ImportError:
    pass


def rotate_key(key: bytes, consumed: int) -> bytes:
    """Returns the key to apply to the rest of a payload, after its first `consumed` bytes."""
    shift = consumed % 4
    return key[shift:] + key[:shift]
