"""Makes the new link on which a stream goes on: dials, waits for the agent, receives its answer."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Mapping

from medusa.client.streams.lost_link.redial import NoReturn, Redial
from medusa.protocol import control
from medusa.protocol.control import Control, Linkup, StreamAnswer, Wait
from medusa.protocol.messages import Close, Message, Ping, Text
from medusa.protocol.printable import printable
from medusa.session import JOB_OVER
from medusa.transports.link import Link, LinkLost, Loss, closed

PULSE_TIMEOUT = 10.0
"""Seconds. If the reflector is silent for so long before the agent has answered, the link is given up.

It sends a pulse every 2 s until the agent is there. After that it answers the ping that this end sends.
"""

PING_INTERVAL = 3.0
"""Seconds of silence after which the reflector is sent a ping."""

CLOSE_TIMEOUT = 1.0
"""Seconds for the reflector to answer that it has learnt of the job's end."""

JOB_OVER_WORDS = "the job is over"

ANSWER_TIMEOUT = 30.0
"""Seconds for the agent to answer on a new link. After that the link is given up: its other half may be dead."""


class _Phase(enum.Enum):
    DIALLING = "there is no link"
    WAITING = "the link is there, the agent is not"
    ASKED = "the agent was asked to go on with the stream"


class WayBack:
    """Makes the new link on which a stream goes on.

    In each round of the caller's loop, poll for `wanted`, until `deadline` at most. Then call `step`.

    Args:
        link: the link that was lost. It gets the new connections.
        redial: dials the reflector.
        ask: a function that sends the message `start`, which asks the agent to go on with the stream.
        heard: a function that is called with each control message of the reflector that does not concern the new link.
    """

    def __init__(
        self,
        link: Link,
        redial: Redial,
        ask: Callable[[], None],
        heard: Callable[[Control], None],
        clock: Callable[[], float],
    ) -> None:
        self._link, self._redial, self._ask, self._heard, self._clock = link, redial, ask, heard, clock
        self._phase = _Phase.DIALLING
        self._give_up_at = math.inf
        self._pinged = -math.inf

    @property
    def reason(self) -> str:
        """The reason why the stream cannot go on yet, in words for the user; "" if nothing is known."""
        return self._redial.reason if self._phase is _Phase.DIALLING else "waiting for the agent"

    def begin(self, *, at_once: bool = False) -> None:
        """Ends the former link, and begins to dial the reflector. `at_once`: True to dial without a pause."""
        self._link.abort()
        self._phase = _Phase.DIALLING
        self._redial.begin(at_once=at_once)

    def wanted(self) -> dict[int, int]:
        """Returns the events to poll for, by descriptor."""
        if self._phase is _Phase.DIALLING:
            return self._redial.wanted()
        return {self._link.fileno(): self._link.events(reading=True)}

    def deadline(self) -> float:
        """Returns the time at which `step` must be called even without an event."""
        if self._phase is _Phase.DIALLING:
            return self._redial.deadline()
        due = self._link.heard + (PING_INTERVAL if self._pinged < self._link.heard else PULSE_TIMEOUT)
        return min(due, self._link.deadline(), *([self._give_up_at] if self._phase is _Phase.ASKED else []))

    def step(self, events: Mapping[int, int]) -> StreamAnswer | None:
        """Goes on with making the link. Returns the agent's answer as soon as it has arrived; None before.

        Binary messages after the answer stay unread.

        Raises:
            NoReturn: the session has ended, or the reflector does not let this client back in.
        """
        try:
            if self._phase is _Phase.DIALLING:
                self._dial(events)
            return None if self._phase is _Phase.DIALLING else self._listen()
        except NoReturn:
            raise
        except LinkLost:
            self.begin()
            return None

    def say_job_over(self) -> bool:
        """Tells the reflector that the job is over. Waits up to CLOSE_TIMEOUT seconds for its answer.

        Returns True if the reflector has answered. Returns False at once if there is no connection to it.
        """
        return self._phase is not _Phase.DIALLING and self._link.close(JOB_OVER_WORDS, CLOSE_TIMEOUT, JOB_OVER)

    def close(self) -> None:
        """Stops making a new link."""
        self._redial.close()
        self._link.abort()

    def _dial(self, events: Mapping[int, int]) -> None:
        transport = self._redial.step(events)
        if transport is not None:
            self._link.replace(transport)
            self._phase = _Phase.WAITING

    def _listen(self) -> StreamAnswer | None:
        self._link.flush()
        while (message := self._link.receive()) is not None:
            if answer := self._take(message):
                return answer
        self._check_silence(self._clock())
        return None

    def _take(self, message: Message) -> StreamAnswer | None:
        if isinstance(message, Close):
            raise closed(message)
        found = control.parse(message.text) if isinstance(message, Text) else None
        if isinstance(found, Wait) and found.outcome is not None:
            raise NoReturn(f"the session was ended ({printable(found.outcome)})")
        if isinstance(found, Linkup) and self._phase is _Phase.WAITING:
            self._phase, self._give_up_at = _Phase.ASKED, self._clock() + ANSWER_TIMEOUT
            self._ask()
        elif isinstance(found, StreamAnswer) and self._phase is _Phase.ASKED:
            return found
        elif found is not None:
            self._heard(found)
        return None

    def _check_silence(self, now: float) -> None:
        self._link.keep_alive()
        silent = now - self._link.heard
        if silent >= PULSE_TIMEOUT or (self._phase is _Phase.ASKED and now >= self._give_up_at):
            raise LinkLost(Loss.SILENT)
        if silent >= PING_INTERVAL and self._pinged < self._link.heard:
            self._pinged = now
            if self._link.clear:
                self._link.queue(Ping())
