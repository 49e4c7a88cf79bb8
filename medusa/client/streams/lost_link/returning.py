"""Brings a stream back over a new link after its link is lost, and tells the user about it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from medusa.client.streams.lost_link.backoff import Backoff
from medusa.client.streams.lost_link.job_silence import JobSilence, JobWatch
from medusa.client.streams.lost_link.progress import Progress
from medusa.client.streams.lost_link.redial import Dials, NoReturn, Redial
from medusa.client.streams.lost_link.sleep_watch import INTERVAL, SleepWatch
from medusa.client.streams.lost_link.way_back import WayBack
from medusa.client.timeouts import DEFAULT_TIMEOUTS, Timeouts
from medusa.protocol.control import Control, StreamAnswer, Ticket
from medusa.protocol.features import HOLD
from medusa.protocol.resume.offer import StreamOffer
from medusa.protocol.streams.end import StreamEnd
from medusa.session import AGENT_LOST_REASON
from medusa.transports.link import Link, LinkLost, Loss

COME_BACK = 1012
"""The close code of a reflector that stops, and asks this side to come back with its ticket."""

LASTED = 5.0
"""Seconds. A link that was lost after so long was a good one, even if nothing has arrived over it."""

FINAL = (1000, 1002, 1007, 1008, 1009)
"""The close codes after which this side must not come back: the session is over, or this side has broken a rule."""


def is_final(lost: LinkLost) -> bool:
    """Returns True if the link has ended in such a way that the client must not come back to the session."""
    if isinstance(lost, NoReturn):
        return True
    return lost.loss is Loss.CLOSED and lost.code in FINAL and lost.detail != AGENT_LOST_REASON


class Unsaid(NamedTuple):
    """What the agent may not know at the end of a session, because the link was lost.

    Attributes:
        offer: the offer to go on with the stream.
        messages: the messages of the stream that the agent may not have received. If there are none, the stream ends.
    """

    offer: StreamOffer
    messages: Sequence[bytes] = ()


class Returning:
    """Brings one stream back over a new link, each time that its link is lost.

    Args:
        dials: makes connections to the reflector.
        keep: for how many seconds to try. 0: the stream ends with its link.
        progress: tells the user for how long the link has been lost.
        clock: a function that returns monotonic seconds.

    Attributes:
        over: a function that returns True if the job has ended, so that the stream cannot go on. It must not block.
        job_over: True if the job has ended, and the reflector may not know it.
        unsaid: what the agent may not know at the end of the session; None if it knows all.
    """

    over: Callable[[], bool] = staticmethod(lambda: False)

    def __init__(
        self,
        dials: Dials,
        keep: int,
        progress: Progress,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        *,
        clock: Callable[[], float] = time.monotonic,
        backoff: Backoff | None = None,
        sleep_watch: SleepWatch | None = None,
    ) -> None:
        self._dials, self._keep, self._clock = dials, keep, clock
        self._progress = progress
        self._backoff = backoff or Backoff()
        self._sleep = sleep_watch or SleepWatch()
        self._job, self._watch = JobSilence(timeouts.silence_timeout), JobWatch()
        self._redial = Redial(dials, self._backoff, clock)
        self._answer: StreamAnswer | None = None
        self._lost = LinkLost(Loss.BROKEN)
        self._way: WayBack | None = None
        self._until = self._look_at = math.inf
        self._moved, self._fruitless, self._back_at = (0, 0), 0, -math.inf
        self._at_once = False
        self.job_over = False
        self.unsaid: Unsaid | None = None

    @property
    def keep(self) -> int:
        """The seconds for which the agent is to keep the stream after its link is lost; 0 if it ends with the link."""
        return self._keep if self._dials.returns else 0

    @property
    def active(self) -> bool:
        """True while the link is lost and a new one is being made."""
        return self._way is not None

    def begins(self, answer: StreamAnswer) -> None:
        """Notes that the agent has accepted the stream. `answer`: the message in which it has said so."""
        self._answer, self._look_at = answer, self._clock() + INTERVAL

    @property
    def lasting(self) -> bool:
        """True if the stream can go on after its link is lost. Client, reflector and agent must all be able to."""
        return self._answer is not None and self.keep > 0 and HOLD in (self._answer.features or ())

    # ------------------------------------------------------------------ while there is a link

    def due(self, stream: StreamEnd, link: Link) -> float:
        """Returns the time at which to call `check` next; infinity for never."""
        if not self.lasting:
            return math.inf
        job_at = self._job.deadline(stream.kept > 0, link.heard)
        due = min(self._look_at, self._watch.deadline)
        return due if job_at is None else min(job_at, due)

    def check(self, now: float, stream: StreamEnd, link: Link) -> None:
        """Tells the user if the agent does not answer. Checks if the link is dead although no method has reported that.

        Raises:
            LinkLost: this machine has slept, so the link is probably dead. Or the job was silent, and has ended.
        """
        self._look_at = now + INTERVAL
        if not self.lasting:
            return
        if self._sleep.slept():
            self._at_once = True
            raise LinkLost(Loss.SILENT, "this machine has slept")
        if words := self._job.check(now, stream.kept > 0, stream.acknowledged, link.received, link.heard):
            self._progress.tell(words)
            if self._job.silent:
                self._watch.begin(now)
            else:
                self._watch.end()
        if self._watch.check(now, self.over):
            self._at_once = True
            raise LinkLost(Loss.SILENT, "the job has ended")

    # ------------------------------------------------------------------ the way back

    def lost(
        self, link: Link, lost: LinkLost, stream: StreamEnd, ask: Callable[[], None], heard: Callable[[Control], None]
    ) -> None:
        """Begins to make a new link. Call it after the link was lost. Raises `lost` if there can be no new link.

        Args:
            link: the link, which gets the new connections.
            lost: the exception that says how the link was lost.
            ask: a function that sends the message `start`, which asks the agent to go on with the stream.
            heard: a function that is called with each control message of the reflector that does not concern the new
                link.
        """
        if self._way is not None:
            self._way.close()
            self._end()
            raise lost
        begins = self._answer is None and self.keep > 0  # whether the agent can hold is not known yet
        if not (self.lasting or begins) or is_final(lost):
            raise lost
        now, silent = self._clock(), lost.loss is Loss.SILENT and not self._at_once
        self._progress.begin(link.heard if silent else now, told=silent, drained=lost.code == COME_BACK)
        self._until, self._lost = now + self._keep, lost
        self._watch.begin(now)
        self._job.restart()
        moved, self._moved = self._moved, (stream.received, stream.acknowledged)
        fruitless = moved == self._moved and now < self._back_at + LASTED
        self._fruitless = self._fruitless + 1 if fruitless else 0
        self._backoff.restart(self._fruitless)
        stream.link_down()
        self._way = WayBack(link, self._redial, ask, heard, self._clock)
        self._way.begin(at_once=self._at_once)
        self._at_once = False

    def wanted(self) -> dict[int, int]:
        """Returns the events to poll for, by descriptor."""
        return {} if self._way is None else self._way.wanted()

    def deadline(self) -> float:
        """Returns the time at which `step` must be called even without an event."""
        if self._way is None:
            return math.inf
        return min(self._way.deadline(), self._progress.deadline, self._until, self._look_at, self._watch.deadline)

    def step(self, events: Mapping[int, int]) -> StreamAnswer | None:
        """Goes on with making a new link. Returns the agent's answer as soon as the stream can go on; None before.

        Raises:
            NoReturn: the stream cannot go on. The text says why.
            LinkLost: the job has ended. The text says how the link was lost.
        """
        way, now = self._way, self._clock()
        assert way is not None
        if now >= self._until:
            raise NoReturn(f"the link has been lost for {self._keep} s, the time of --keep")
        if self._sleep.slept():
            way.begin(at_once=True)
        self._look_at = now + INTERVAL
        answer = way.step(events)
        if answer is None or not self._is_ours(answer, way):
            if self._watch.check(now, self.over):
                self.job_over = not way.say_job_over()
                raise self._lost
            self._progress.check(now, way.reason)
            return None
        self._progress.done(now)
        self._end()
        self._back_at = now
        return answer

    def leave(self, unsaid: Unsaid) -> None:
        """Sets `unsaid`, because the session ends here and the agent may not know it.

        Does nothing if the stream ends with its link.
        """
        if self.lasting:
            self.unsaid = unsaid

    def close(self) -> None:
        """Stops making a new link, if the link is lost."""
        if self._way is not None:
            self._way.close()
            self._end()

    def take(self, found: Control) -> bool:
        """Stores the ticket that the control message `found` holds. Returns False if the message is no Ticket."""
        if isinstance(found, Ticket):
            self._dials.take_ticket(found.ticket)
        return isinstance(found, Ticket)

    def _end(self) -> None:
        self._way, self._until = None, math.inf
        self._watch.end()
        self._progress.over()

    def _is_ours(self, answer: StreamAnswer, way: WayBack) -> bool:
        """Returns True if the agent that has answered has the stream. Otherwise begins to make another link.

        Another agent of the same session may answer first, and does not have the stream.

        Raises:
            NoReturn: the agent has given the stream up.
        """
        if not answer.gone:
            return True
        if self._answer is None or answer.incarnation == self._answer.incarnation:
            raise NoReturn("the agent has given the session up: it has not kept what this mlogin ran")
        way.begin()
        return False
