from __future__ import annotations

import pytest

from medusa.protocol import messages
from medusa.protocol.messages import clip_reason


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
