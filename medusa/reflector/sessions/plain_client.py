"""What the reflector says to an agent in place of a plain client, which knows no messages (raw TCP without frames)."""

from __future__ import annotations

from collections.abc import Iterable

from medusa.protocol.control import Error, Exit, Start, build, parse
from medusa.protocol.messages import Close

START_TEXT = build(Start())
"""Sent to the agent at the link-up: a shell, with the agent's defaults."""

_DONE = Close(1000, "done")


def reply(texts: Iterable[bytes]) -> Close | None:
    """What a client would send after these texts of the agent's: a Close after the last output, else nothing."""
    if any(isinstance(parse(text.decode()), (Error, Exit)) for text in texts):
        return _DONE
    return None
