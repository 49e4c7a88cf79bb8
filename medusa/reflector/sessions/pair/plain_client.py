"""Answers an agent in place of a client that uses raw TCP without frames, and so cannot send messages."""

from __future__ import annotations

from collections.abc import Iterable

from medusa.protocol.control import Error, Exit, Start, build, parse
from medusa.protocol.messages import Close

START_TEXT = build(Start())
"""The message that starts the agent's default command. The reflector sends it to the agent at the link-up."""

_DONE = Close(1000, "done")


def reply(texts: Iterable[bytes]) -> Close | None:
    """Returns the Close to send to the agent if `texts` contains its last message (Exit or Error), else None.

    `texts`: messages that the agent has sent.
    """
    if any(isinstance(parse(text.decode()), (Error, Exit)) for text in texts):
        return _DONE
    return None
