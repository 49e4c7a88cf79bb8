"""Tells the user that the link is lost, for how long, and that it is back. Each message is one short line."""

from __future__ import annotations

import math

from medusa.client.terminal.messages import Messages

REDRAW_INTERVAL = 1.0
"""Seconds between two frames of the line that is drawn again in its place, on a terminal."""

SHOW_AFTER = 2.0
"""Seconds. A link that is back sooner is not worth a word."""

FIRST_LINE_AFTER = 5.0
"""Seconds until the first line, if lines cannot be drawn again. The next ones come after 30, 60, 120 ... seconds."""

SECOND_LINE_AFTER = 30.0


class Progress:
    """Tells the user that the link is lost, for how long, and that it is back. Call `check` at the time `deadline`.

    Args:
        leave: how the user can end the wait, such as `~. ends it`; "" if there is no such way.
        always: True to tell the user of each link that is back, however soon.
        silent: True to tell nothing.

    Attributes:
        deadline: the time at which to call `check` next; infinite while there is a link.
    """

    def __init__(self, messages: Messages, leave: str = "", *, always: bool = False, silent: bool = False) -> None:
        self._messages, self._always, self._silent = messages, always, silent
        self._leave = leave
        self._since = self._line_at = self.deadline = math.inf
        self._told = False

    def tell(self, words: str) -> None:
        """Shows a line to the user."""
        if not self._silent:
            self._messages.error(words)

    def begin(self, since: float, *, told: bool, drained: bool) -> None:
        """Starts to tell the user that the link is lost. Call it after the loss.

        Args:
            since: the time at which the last sign of life came.
            told: True if the user was already told that the reflector is silent.
            drained: True if the reflector stops, and has asked mlogin to come back. Then the user is told a little
                later.
        """
        self._since, self._told = since, told
        self._line_at = since + FIRST_LINE_AFTER
        self.deadline = self._line_at if drained else since + SHOW_AFTER

    def check(self, now: float, reason: str) -> None:
        """Tells the user for how long the link has been lost, if `deadline` has passed.

        `reason`: why the link is not back yet; "" if unknown.
        """
        if now < self.deadline:
            return
        if self._silent:
            self.deadline = math.inf
            return
        elapsed = now - self._since
        why = f"; {reason}" if reason and elapsed >= FIRST_LINE_AFTER else ""
        minutes, seconds = divmod(int(elapsed), 60)
        clock = f"{minutes}:{seconds:02}"
        leave = f" ({self._leave}{why})" if self._leave else why
        text = f"reconnecting ... {clock}{leave}"
        if self._messages.redraw(text):
            self._told, self.deadline = True, now + REDRAW_INTERVAL
            return
        if now >= self._line_at:
            self._messages.error(text)
            self._told = True
            self._line_at = self._since + max(SECOND_LINE_AFTER, 2 * elapsed)
        self.deadline = self._line_at

    def done(self, now: float) -> None:
        """Tells the user that the link is back. After a short loss that the user was not told of, tells nothing."""
        elapsed = now - self._since
        if not self._silent and (self._told or self._always or elapsed >= SHOW_AFTER):
            self._messages.error(f"reconnected after {elapsed:.0f} s")
        self._since = self._line_at = self.deadline = math.inf

    def over(self) -> None:
        """Stops telling the user about the link, because mlogin waits for it no longer. The caller tells why."""
        self._since = self._line_at = self.deadline = math.inf
