"""Sends the messages of the reflector itself to the two sides of a pair."""

from __future__ import annotations

import time
from collections.abc import Sequence

from medusa.protocol.control import KILLED, Call, Linkup, Notice, Wait, build
from medusa.reflector.relay.endpoint.endpoint import Endpoint
from medusa.reflector.sessions.pair import plain_client
from medusa.reflector.sessions.pair.deadlines import Deadlines
from medusa.reflector.sessions.pair.runner import Context, Runner
from medusa.reflector.sessions.pair.usage import Usage
from medusa.session import Side

_WAIT_TEXT = build(Wait())
_KILLED_TEXT = build(Wait(KILLED))
_LINKUP_TEXT = build(Linkup())


class Messages(Runner):
    """The base class of a pair with the messages that the reflector sends to its sides: to wait, the link-up, notices.

    Attributes:
        shows_notices: True if the client has announced that it shows notices at any time.
    """

    __slots__ = ("shows_notices",)

    def __init__(self, context: Context, deadlines: Deadlines, usage: Usage, leg_id: str) -> None:
        super().__init__(context, deadlines, usage, leg_id)
        self.shows_notices = False

    def call(self, leg_id: str) -> None:
        """Asks the agent, over its connection in this pair, to make one more connection.

        `leg_id`: the id of the pair that the new connection is for.
        """
        self._sides[Side.AGENT].announce(build(Call(leg_id)))

    def _send_linkup(self, client: Endpoint, agent: Endpoint) -> None:
        client.announce(_LINKUP_TEXT)
        agent.announce(_LINKUP_TEXT)
        if client.plain and not agent.plain:
            agent.announce(plain_client.START_TEXT)
            agent.on_left_out = self._answer_agent

    def _answer_agent(self, texts: Sequence[bytes]) -> None:
        close = plain_client.reply(texts)
        if close is not None:
            self._sides[Side.AGENT].close(close)

    def _send_wait(self) -> None:
        self._sides[Side.CLIENT].announce(_WAIT_TEXT)

    def _send_killed(self) -> None:
        self._sides[Side.CLIENT].announce(_KILLED_TEXT)

    def _send_idle_notice(self) -> None:
        _, left = self._deadlines.left(time.monotonic(), self._sides.values())
        words = "nothing has passed for %.0f s; unless something does, the session ends in %.0f s"
        self._send_notice(words % (self._context.config.idle_timeout - left, left))

    def _send_duration_notice(self) -> None:
        left, _ = self._deadlines.left(time.monotonic(), self._sides.values())
        words = "the session ends in %.0f s: it may not last longer than %.0f s"
        self._send_notice(words % (left, self._context.config.max_duration))

    def _send_drain_notice(self) -> None:
        if self.shows_notices:
            left = self._deadlines.left_of_drain(time.monotonic())
            self._send_notice("%s; the session ends in %.0f s" % (self._deadlines.drain_words, max(1.0, left)))

    def _send_notice(self, words: str) -> None:
        self._sides[Side.CLIENT].announce(build(Notice(words)))
