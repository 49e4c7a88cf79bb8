"""Makes and reads the tokens of claims. A token has 32 hexadecimal digits. No I/O.

| Digits | In a claim that depends on a lease | In any other claim |
|---|---|---|
| 0 to 7 | when the claim was made | when the claim was made |
| 8 to 15 | the id of the lease | random |
| 16 to 23 | random | random |
| 24 to 31 | the CRC-32 of the digits before | random |

Versions of Medusa before leases make tokens of the second kind, and read both kinds as one. The checksum tells the two
kinds apart, with one error in 4 billion tokens. It is no proof of anything: that is the MAC of the whole entry, see
medusa.directory.seal.
"""

from __future__ import annotations

import secrets
import zlib

_TIME = slice(0, 8)
_LEASE = slice(8, 16)
_CHECKED = slice(0, 24)
_CHECKSUM = slice(24, 32)


def new_lease() -> str:
    """Returns a new random id for a lease: 8 hexadecimal digits."""
    return secrets.token_hex(4)


def new_token(now: float, lease: str = "") -> str:
    """Returns a token for a new claim: 32 hexadecimal digits.

    Args:
        now: the time, in seconds since 1970.
        lease: the id of the lease that the claim depends on; "" if it depends on none.
    """
    start = "%08x" % int(now)
    if not lease:
        return start + secrets.token_hex(12)
    checked = start + lease + secrets.token_hex(4)
    return checked + _checksum(checked)


def made_at(token: str) -> int:
    """Returns the time in `token`, in seconds since 1970. The number is meaningless if the token has no time."""
    return int(token[_TIME] or "0", 16)


def lease_of(token: str) -> str:
    """Returns the id of the lease that a claim with this token depends on, or "" if it depends on none."""
    return token[_LEASE] if token[_CHECKSUM] == _checksum(token[_CHECKED]) else ""


def _checksum(text: str) -> str:
    return "%08x" % zlib.crc32(text.encode())
