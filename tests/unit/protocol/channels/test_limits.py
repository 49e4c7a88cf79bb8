"""The limits of part 3 of docs/protocol.md. A change of one of them is a decision, not an accident."""

from __future__ import annotations

from medusa.protocol.channels import limits
from medusa.protocol.resume import records, stream

KIB, MIB = 1024, 1024 * 1024


def test_the_limits() -> None:
    assert (stream.MAX_KEPT, stream.MAX_KEPT_CONTROL) == (3 * MIB, 256 * KIB)
    assert (records.MAX_MESSAGE, records.LEAST_LIMIT, records.PARTS_ABOVE) == (MIB, 128 * KIB, 64 * KIB)
    assert stream.MIN_KEPT == 64 * KIB
    assert (stream.ACK_AFTER, stream.ACK_INTERVAL) == (512 * KIB, 0.05)
    assert {name: value for name, value in vars(limits).items() if name.isupper()} == {
        "MAX_PAYLOAD": 32 * KIB,
        "LEAST_PART": KIB,
        "TURN": 16 * KIB,
        "MAX_CHANNELS": 768,
        "MAX_REFUSED": 1024,
        "OPEN_TIMEOUT": 30,
        "MAX_WINDOWS": 10 * MIB,
        "MIN_WINDOW": 4 * KIB,
        "FIRST_WINDOW": 64 * KIB,
        "MAX_WINDOW": 16 * (256 * KIB - 512),
        "LONG_RATE": 20 * MIB,
        "FIRST_TERMINAL_WINDOW": 128 * KIB,
        "MIN_TERMINAL_WINDOW": 16 * KIB,
        "MAX_TERMINAL_WINDOW": 1536 * KIB,
        "TERMINAL_DELAY": 0.1,
        "MAX_QUEUED": 256 * KIB - 512,
        "MAX_QUEUED_ALONE": 4 * (256 * KIB - 512),
        "QUEUED_HIGH": 768 * KIB,
        "MIN_QUEUED": KIB,
        "MAX_QUEUED_CONTROL": 256 * KIB,
    }
