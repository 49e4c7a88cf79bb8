from __future__ import annotations

import pytest

from medusa.client.session.link_errors import describe, describe_close
from medusa.protocol.messages import Close
from medusa.transports.link import LinkLost, Loss


@pytest.mark.parametrize("loss", Loss)
def test_every_loss_has_words_that_are_safe_to_show(loss: Loss) -> None:
    text = describe(LinkLost(loss, "\x1b[2J"))
    assert text.startswith("the ")
    assert text.isprintable()


@pytest.mark.parametrize(
    ("reason", "words"), [("", "(no reason given)"), ("full", "(full)"), ("\x1b[2J", "(\\x1b[2J)")]
)
def test_a_close_says_its_reason(reason: str, words: str) -> None:
    assert describe_close(Close(1000, reason)) == f"the reflector closed the session {words}"
