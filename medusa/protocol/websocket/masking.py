"""Applies a masking key to a payload, by XOR (RFC 6455 section 5.3).

Uses the C routine of the package `websockets` if it is installed.
"""

from __future__ import annotations

from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from typing import Callable, Optional, Union

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


def _accelerated() -> Optional[Callable[[Buffer, bytes], bytes]]:
    """Returns the C routine of the package `websockets`, or None if it is not there.

    Loads that one module without the package around it, which would also load `importlib.metadata` and `email`: that
    is a tenth of the time in which mlogin starts.
    """
    # This is the only import in medusa.protocol from outside the standard library. It is optional, because the archive
    # that agents run from does not contain this package.
    try:
        package = PathFinder.find_spec("websockets")
        places = package and package.submodule_search_locations
        spec = places and PathFinder.find_spec("websockets.speedups", places)
        if not spec or spec.loader is None:
            return None
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        routine: Callable[[Buffer, bytes], bytes] = module.apply_mask
        return routine
    except (ImportError, AttributeError):
        return None


apply_mask: Callable[[Buffer, bytes], bytes] = _accelerated() or apply_mask_pure


def rotate_key(key: bytes, consumed: int) -> bytes:
    """Returns the key to apply to the rest of a payload, after its first `consumed` bytes."""
    shift = consumed % 4
    return key[shift:] + key[:shift]
