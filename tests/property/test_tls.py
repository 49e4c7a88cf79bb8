"""However the ciphertext is cut, and however little is read at once: the plaintext is the same and complete."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from medusa.transports.tls import RECORD
from tests.links import tls_engines

SIZES = st.one_of(st.integers(1, 40), st.sampled_from([RECORD - 1, RECORD, RECORD + 1, 3 * RECORD]))


def nothing(_: int) -> bytes:
    raise BlockingIOError


@settings(max_examples=30)
@given(
    writes=st.lists(SIZES, min_size=1, max_size=12),
    cuts=st.lists(st.integers(1, 20_000), min_size=1, max_size=8),
    reads=st.lists(SIZES, min_size=1, max_size=5),
)
def test_any_cut_gives_the_same_bytes(writes: list[int], cuts: list[int], reads: list[int]) -> None:
    client, server = tls_engines()
    whole = b"".join(bytes([number]) * size for number, size in enumerate(writes))
    wire, received, at = b"".join(client.encrypt(bytes([number]) * size) for number, size in enumerate(writes)), b"", 0
    for number in range(len(wire)):
        piece = wire[at : at + cuts[number % len(cuts)]]
        at += len(piece)
        received += server.receive(reads[number % len(reads)], lambda _, piece=piece: piece)  # type: ignore[misc]
        while server.pending:
            size = reads[number % len(reads)]
            try:
                data = server.receive(size, nothing)
            except BlockingIOError:
                break
            assert len(data) <= size
            received += data
        if at == len(wire):
            break
    assert received == whole
    assert not server.pending
