"""Packs a directory into the archive's payload: `agent_payload.py DIRECTORY OUTPUT`. Prints the payload's SHA-256.

The payload is a list of the files (a line `SIZE PATH` for each, then an empty line) and their contents. 136 words that
are frequent and long are replaced by single bytes, which makes it 2 % smaller. It is compressed by bz2; zlib would make
it 20 % larger, and a tar archive 9 %. It is written as base85 (RFC 1924) with other characters for six of its own;
base64 would make it 7 % larger.
"""

from __future__ import annotations

import base64
import bz2
import hashlib
import keyword
import re
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from agent_boot import CODES, SAFE  # type: ignore[import-not-found]  # it lies beside this file

WIDTH = 180

WORD = re.compile(rb"\n *def |\n *|self\._?|\w{2,}")
"""What may be replaced by a byte: a word, or the beginning of a line, up to the name of a function."""


def pack(root: Path) -> bytes:
    """Returns the compressed payload with all files below `root`, in the order of their paths."""
    paths = sorted((path.relative_to(root).as_posix(), path) for path in root.rglob("*") if path.is_file())
    contents = [path.read_bytes() for _, path in paths]
    names = "".join("%d %s\n" % (len(data), name) for (name, _), data in zip(paths, contents, strict=True))
    return bz2.compress(shorten(b"".join([names.encode("utf-8"), b"\n", *contents])))


def shorten(data: bytes) -> bytes:
    """Returns `data` with its most frequent words replaced by those of CODES that it does not contain.

    What these bytes stand for comes first, with a zero byte between two of them and two after the last one. A byte that
    `data` contains stands for itself.
    """
    free = [byte for byte in CODES if bytes([byte]) not in data]
    counts = Counter(word for word in WORD.findall(data) if len(word) > 1)
    words = sorted(counts, key=lambda word: -counts[word] * (2 + len(word)))[: len(free)]
    followers: dict[bytes, Counter[bytes]] = {word: Counter() for word in words}
    for found in re.finditer(rb"(?=(%s)(.))" % WORD.pattern, data, re.DOTALL):
        followers.get(found[1], Counter())[found[2]] += 1
    words.sort(key=lambda word: (_kind(word), [follower for follower, _ in followers[word].most_common(1)]))
    numbers = {word: bytes([byte]) for word, byte in zip(words, free, strict=False)}
    listed = {number[0]: word for word, number in numbers.items()}
    table = [listed.get(byte, bytes([byte]) if byte not in free else b"") for byte in CODES]
    return b"\0".join([*table, b"", WORD.sub(lambda found: numbers.get(found[0], found[0]), data)])


def _kind(word: bytes) -> int:
    """Returns a number for words of one kind. bz2 packs better if bytes that stand for similar words are neighbours."""
    if word.startswith((b"\n", b"self")):
        return word.startswith(b"self")
    return 2 if keyword.iskeyword(word.decode()) else 3 if word[:1].isupper() else 4


def encode(packed: bytes) -> str:
    """Returns the text that `files` of agent_boot.py decodes."""
    text = base64.b85encode(packed).decode("ascii").translate({new: old for old, new in SAFE.items()})
    return "".join(text[start : start + WIDTH] + "\n" for start in range(0, len(text), WIDTH))


if __name__ == "__main__":
    packed = pack(Path(sys.argv[1]))
    Path(sys.argv[2]).write_text(encode(packed), encoding="ascii")
    print(hashlib.sha256(packed).hexdigest())
