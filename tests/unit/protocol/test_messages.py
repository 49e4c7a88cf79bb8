from __future__ import annotations

import dataclasses

import pytest

from medusa.protocol import messages
from medusa.protocol.messages import Binary, Close, Message, Ping, Pong, Text, clip_reason


def test_the_limits_that_the_documents_name() -> None:
    assert messages.MAX_MESSAGE == 16777216
    assert messages.STREAM_ABOVE == 65536
    assert (messages.MAX_CONTROL_PAYLOAD, messages.MAX_REASON) == (125, 123)


@pytest.mark.parametrize(
    ("reason", "clipped"),
    [
        ("", ""),
        ("x" * 123, "x" * 123),
        ("x" * 124, "x" * 123),
        ("x" * 122 + "é", "x" * 122),
        ("x" * 121 + "é", "x" * 121 + "é"),
        ("x" * 120 + "😀", "x" * 120),
        ("😀" * 40, "😀" * 30),
        ("a\ud800b", "a?b"),
    ],
)
def test_a_reason_is_cut_between_characters(reason: str, clipped: str) -> None:
    assert clip_reason(reason) == clipped
    assert len(clip_reason(reason).encode()) <= messages.MAX_REASON


@pytest.mark.parametrize("message", [Text("a"), Binary(b"a"), Ping(b"a"), Pong(b"a"), Close(1000, "a")])
def test_messages_are_values(message: Message) -> None:
    assert message == dataclasses.replace(message)
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(message, dataclasses.fields(message)[0].name, None)


def test_ping_and_pong_differ() -> None:
    unlike: list[object] = [Ping(b""), Pong(b""), Text(""), Binary(b"")]
    assert all((a == b) == (a is b) for a in unlike for b in unlike)
