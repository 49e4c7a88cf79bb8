"""Finds the private key in the content of a file, which may also contain other text."""

from __future__ import annotations

import re
from typing import NamedTuple

_BOM = b"\xef\xbb\xbf"
_BEGIN = re.compile(rb"-----BEGIN ((?:[A-Z0-9]+ )*PRIVATE KEY)-----")
_OPENSSH = b"OPENSSH PRIVATE KEY"


class KeyBlock(NamedTuple):
    """One private key, still encoded.

    Attributes:
        pem: the lines from BEGIN to END. Blank lines and white space that some programs refuse are removed.
        openssh: True if the key is in OpenSSH's format, False if it is in PEM or PKCS#8.
    """

    pem: bytes
    openssh: bool


def find(data: bytes) -> KeyBlock | None:
    """Returns the first private key in `data`, the content of a file. Returns None if there is none.

    Everything before and behind the key is skipped: a byte order mark, blank lines, the `Bag Attributes` of `openssl
    pkcs12`, certificates, the parameters of a curve. Blank lines inside the key are skipped as well, and white space at
    the ends of its lines, because OpenSSL ignores them. If the line END is missing, all lines after BEGIN count as the
    key. Then the function that decodes the key reports the error.
    """
    lines = [line.rstrip() for line in data.removeprefix(_BOM).splitlines()]
    for start, line in enumerate(lines):
        begin = _BEGIN.fullmatch(line)
        if begin is not None:
            label = begin[1]
            end = b"-----END %b-----" % label
            body = lines[start + 1 : lines.index(end, start)] if end in lines[start:] else lines[start + 1 :]
            return KeyBlock(_pem(label, body), label == _OPENSSH)
    return None


def _pem(label: bytes, body: list[bytes]) -> bytes:
    """Returns a key in PEM. Removes the blank lines in `body`, except the required one after the header fields."""
    fields = [line for line in body if b":" in line]
    base64 = [line for line in body if line and b":" not in line]
    head = [*fields, b""] if fields else []
    return b"\n".join([b"-----BEGIN %b-----" % label, *head, *base64, b"-----END %b-----" % label, b""])
