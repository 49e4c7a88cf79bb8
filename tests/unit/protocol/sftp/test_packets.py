"""How a stream is cut into packets of SFTP, and what their fields hold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medusa.protocol.sftp.attributes import Attributes
from medusa.protocol.sftp.packets import MAX_PACKET, BadPacket, Cutter, Fields, packet, text

NUMBERS = st.integers(0, (1 << 32) - 1)


@given(st.lists(st.binary(max_size=300), max_size=8), st.lists(st.integers(1, 40)))
def test_any_chunks_give_the_same_packets(fields: list[bytes], sizes: list[int]) -> None:
    stream = b"".join(packet(5, number, data) for number, data in enumerate(fields))
    cutter, found = Cutter(), []
    for size in [*sizes, len(stream) + 1]:
        found += [bytes(piece) for piece in cutter.cut(stream[:size])]
        stream = stream[size:]
    assert found == [packet(5, number, data)[4:] for number, data in enumerate(fields)]
    assert not cutter.held


@pytest.mark.parametrize("size", [0, MAX_PACKET + 1, (1 << 32) - 1])
def test_lengths_that_no_packet_has(size: int) -> None:
    with pytest.raises(BadPacket):
        Cutter().cut(size.to_bytes(4, "big"))


@given(
    st.builds(
        Attributes,
        st.none() | st.integers(0, (1 << 64) - 1),
        st.none() | st.tuples(NUMBERS, NUMBERS),
        st.none() | NUMBERS,
        st.none() | st.tuples(NUMBERS, NUMBERS),
    )
)
def test_attributes_are_read_as_they_were_built(attributes: Attributes) -> None:
    fields = Fields(memoryview(attributes.build()), 0)
    assert Attributes.read(fields) == attributes
    assert fields.over


def test_texts_that_are_cut_off() -> None:
    with pytest.raises(BadPacket):
        Fields(memoryview(text(b"abc")[:-1]), 0).text()
