"""The agent's side of a session that attaches to a terminal which already runs in the agent (docs/protocol.md, part 3).

Other clients may use the same terminal. All of them see its output.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from medusa.client.session.remote.streamed import StreamRemote
from medusa.client.settings import Attachment
from medusa.client.streams.conversation import Conversation
from medusa.protocol.channels.kinds import STDIN
from medusa.protocol.control import Start

REPLAY = 128 * 1024
"""Bytes of the terminal's last output that are shown."""


class AttachedRemote(StreamRemote):
    """The agent's side of a session: a terminal that already runs in the agent. It uses one channel of a stream.

    Args:
        start: the kind and size of the user's terminal.
        attachment: how to attach.
    """

    def __init__(
        self,
        conversation: Conversation,
        start: Start,
        attachment: Attachment,
        tell: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(conversation, start, tell, clock)
        self._attachment = attachment

    def begin(self) -> None:
        start, how = self._start, self._attachment
        pty = {"term": start.term, "columns": start.columns, "lines": start.lines}
        wish = {"replay": REPLAY, "read_only": how.read_only, "steal": how.steal, "inside": how.inside}
        self._begin("attach", {"pty": pty, **wish})

    @property
    def room(self) -> int:
        return super().room if STDIN in self._channel.writers else 1 << 16

    def send(self, data: bytes) -> None:
        if STDIN in self._channel.writers:
            super().send(data)

    def _on_opened(self, fields: Mapping[str, object]) -> None:
        super()._on_opened(fields)
        dropped = fields.get("dropped")
        if isinstance(dropped, int) and dropped > 0:
            self._tell(f"{dropped:,} bytes of output were dropped while nobody watched")
