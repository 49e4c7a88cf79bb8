"""The agent's side of a session that needs a stream, until the agent has accepted the stream."""

from __future__ import annotations

import time
from collections.abc import Callable

from medusa.client.session.ending import Ending, SessionEnded
from medusa.client.session.remote.offered import OfferedRemote
from medusa.client.session.remote.streamed import StreamRemote
from medusa.client.streams.conversation import Conversation
from medusa.client.streams.negotiation import HARMLESS, Speech

ANSWER_TIMEOUT = 30.0
"""Seconds to wait for the agent's answer."""

TOO_OLD = "the agent of this session is too old: it keeps no terminals"


class NeededStream(OfferedRemote):
    """The agent's side of a session that needs a stream, until the agent has accepted the stream.

    After that, `stream` takes the place of this object. If the agent does not accept the stream, or does not answer in
    time, `receive` raises SessionEnded. The offer is sent with a command that does nothing, because an agent that knows
    no streams starts that command.
    """

    room = 0

    def __init__(
        self,
        conversation: Conversation,
        stream: StreamRemote,
        tell: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(conversation, HARMLESS, tell, clock, stream)
        self._answer_at = clock() + ANSWER_TIMEOUT

    def receive(self, room: int) -> bytes:
        data = super().receive(room)
        if self.parted:  # no answer can come
            self._answer_at = self._clock() + ANSWER_TIMEOUT
        late = self._conversation.speech is Speech.NONE and self._clock() >= self._answer_at
        if data or late or self._conversation.speech is Speech.TERMINAL:
            raise SessionEnded(Ending.NOT_STARTED, TOO_OLD)
        return b""
