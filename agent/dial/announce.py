"""Builds the header fields by which the agent tells the reflector about itself, and texts about URLs for the log."""

from __future__ import annotations

import os
from typing import List, NamedTuple, Optional
from urllib.parse import urlsplit

from agent.about import about_agent
from medusa.protocol.features import ABOUT, CALL, HEADER, HOLD, INCARNATION, KEPT
from medusa.protocol.http.about import build
from medusa.protocol.http.own_header import Field
from medusa.transports.dial import ConnectRefused

HOLD_TIME = 3600
"""Seconds for which the reflector is asked to wait for an agent that has lost its link."""


class Holding(NamedTuple):
    """The agent's request to the reflector to hold (keep) its session after a link is lost.

    Attributes:
        incarnation: names this process, in 32 hexadecimal digits.
        seconds: how long the reflector is to wait for the agent after its link is lost.
    """

    incarnation: str
    seconds: int = HOLD_TIME


def features(*, holds: bool) -> List[Field]:
    """Returns the header fields by which the agent tells the reflector about itself, on each of its links.

    Args:
        holds: True if the session is to live on after its links are lost.
    """
    about = build(about_agent(os.environ, os.uname().nodename))
    return [(HEADER, "%s,%s" % (CALL, HOLD) if holds else CALL), *([(ABOUT, about)] if about else [])]


def announced(holding: Optional[Holding]) -> List[Field]:
    """Returns the header fields of the agent's first link, and of a link that replaces it.

    Args:
        holding: the request to hold the session; None if the session is not to be held.
    """
    if holding is None:
        return features(holds=False)
    return [*features(holds=True), (KEPT, str(holding.seconds)), (INCARNATION, holding.incarnation)]


def public_part(url: str) -> str:
    """Returns the scheme, host and path of a URL, which may be shown. Password and query are secrets, and left out."""
    parts = urlsplit(url)
    return "%s://%s%s" % (parts.scheme, parts.netloc.rpartition("@")[2], parts.path)


def describe(refused: ConnectRefused) -> str:
    """Returns a text that describes the refusal, with its HTTP status if it has one."""
    return "%s (status %d)" % (refused, refused.status) if refused.status else str(refused)
