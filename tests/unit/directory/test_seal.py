from __future__ import annotations

import pytest

from medusa.directory import BrokenEntry, Claim, Owner
from medusa.directory.seal import Seal

SEAL = Seal(b"the secret of a site")
CLAIM = Claim("id", Owner("http://node1.example:8381"), "ab" * 16)
ENTRY = SEAL.entry(b"key", CLAIM)


def test_an_entry_is_read_by_all_who_have_the_secret() -> None:
    assert Seal(b"the secret of a site").read(b"key", "id", ENTRY) == CLAIM


def test_a_reflector_of_the_version_before_reads_the_address() -> None:
    assert ENTRY.decode().partition(" ")[2] == CLAIM.owner.address


def test_every_byte_is_covered() -> None:
    for at in range(len(ENTRY)):
        changed = ENTRY[:at] + (b"1" if ENTRY[at : at + 1] != b"1" else b"2") + ENTRY[at + 1 :]
        with pytest.raises(BrokenEntry):
            SEAL.read(b"key", "id", changed)


@pytest.mark.parametrize(
    "entry",
    [
        b"",
        b"theirs",
        b"ab" * 16 + b" http://node1.example:8381",
        b'{"token": "ab", "address": "http://node1.example:8381"}',
        b"\xff\xfe",
        ENTRY + b"0",
        b" " + ENTRY,
        ENTRY + b"\n",
        ENTRY.upper(),
        ENTRY.partition(b" ")[0],
        Seal(b"another secret").entry(b"key", CLAIM),
        Seal(b"").entry(b"key", CLAIM),
        SEAL.entry(b"ke", Claim("id", Owner("y" + CLAIM.owner.address), CLAIM.token)),
    ],
)
def test_what_the_site_has_not_written_is_not_believed(entry: bytes) -> None:
    with pytest.raises(BrokenEntry):
        SEAL.read(b"key", "id", entry)


def test_an_entry_is_worth_nothing_under_another_name() -> None:
    with pytest.raises(BrokenEntry):
        SEAL.read(b"another", "id", ENTRY)


def test_an_address_that_is_not_text() -> None:
    address = b"\xff"
    entry = b"%s.%s %s" % (b"ab" * 16, SEAL._mac(b"key", address, b"ab" * 16), address)
    with pytest.raises(BrokenEntry, match="UTF-8"):
        SEAL.read(b"key", "id", entry)
