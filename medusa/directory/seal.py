"""Writes and reads the entries of the directory. A MAC in each entry proves that a reflector has written it. No I/O.

An entry is the text "TOKEN.MAC ADDRESS". TOKEN is the claim's token, and ADDRESS is the address of its owner.
MAC is an HMAC-SHA256. Its key is the secret that all reflectors with this directory share. The MAC covers the address,
the token, and the key under which the entry is stored. So a reflector refuses an entry that was changed, made by
another program, or copied to another key.
An older version of the reflector writes "TOKEN ADDRESS". It can read the new entries, because it takes "TOKEN.MAC" for
the token.
"""

from __future__ import annotations

import hmac
import re

from medusa.directory.base import BrokenEntry, Claim, Owner

MAX_ENTRY = 2048
"""The maximum length of an entry in bytes. A longer entry is not valid, so it is not read to its end."""

_PURPOSE = b"medusa directory entry"
_ENTRY = re.compile(rb"([0-9a-f]{32})\.([0-9a-f]{64}) ([^\x00-\x1f\x7f]*)\Z")


class Seal:
    """Writes and reads entries with a MAC that is made with `secret`."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def entry(self, key: bytes, claim: Claim) -> bytes:
        """Returns the entry for `claim`. The caller stores it under `key`."""
        token, address = claim.token.encode(), claim.owner.address.encode()
        return b"%s.%s %s" % (token, self._mac(key, address, token), address)

    def read(self, key: bytes, session_id: str, entry: bytes) -> Claim:
        """Returns the claim on `session_id` in an entry that was stored under `key`.

        Raises:
            BrokenEntry: the MAC is wrong or missing, so a program without the secret has written or moved the entry.
        """
        match = _ENTRY.match(entry)
        if match is None or not hmac.compare_digest(match[2], self._mac(key, match[3], match[1])):
            raise BrokenEntry("it was not written by a reflector of this site and version, or was changed")
        try:
            return Claim(session_id, Owner(match[3].decode()), match[1].decode())
        except UnicodeDecodeError:
            raise BrokenEntry("its address is not UTF-8") from None

    def _mac(self, *parts: bytes) -> bytes:
        # With the lengths, no two lists of parts make the same text.
        text = b"".join(b"%d:%s" % (len(part), part) for part in (_PURPOSE, *parts))
        return hmac.digest(self._secret, text, "sha256").hex().encode()
