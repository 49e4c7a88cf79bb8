"""Runs sessions without a command: connections are only forwarded, or standard input and output are a connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from medusa.client.outcome import Interrupted, OutcomeUnknown
from medusa.client.pipes.pipes_session import PipesSession
from medusa.client.places.specs import Place
from medusa.client.session.ending import MAX_WORDS, Ending, SessionEnded, channel_end
from medusa.client.settings import Settings
from medusa.protocol.channels.channel import Event, TooManyChannels
from medusa.protocol.channels.frames import CLOSE, DATA, EOF, REFUSED, STOP
from medusa.protocol.channels.kinds import STDIN, STDOUT
from medusa.protocol.control import Exit
from medusa.protocol.printable import printable
from medusa.transports.forwarding.refusal import REFUSED as TARGET_REFUSED
from medusa.transports.forwarding.refusal import TIMEOUT, UNKNOWN_HOST

NOTHING_LEFT = "nothing is left to forward"


class _NoCommand(PipesSession):
    """A session without a command: there is no outcome that could be unknown."""

    _too_old = "the agent of this session is too old to forward connections"
    _silent = "it may be too old to forward connections"

    def _until_it_ends(self, step: Callable[[], None]) -> SessionEnded | None:
        ended = super()._until_it_ends(step)
        if ended is None or ended.step.error is None or not issubclass(ended.step.error, OutcomeUnknown):
            return ended
        if isinstance(ended.__cause__, Interrupted):
            raise ended.__cause__
        return SessionEnded(Ending.NOT_STARTED, str(ended))


class ForwardOnly(_NoCommand):
    """A session that only forwards connections, until a signal ends it.

    Attributes:
        idle: a function that returns True if nothing is left to forward. Set it before `run`.
    """

    idle: Callable[[], bool] = staticmethod(lambda: False)
    _begun = False

    def _open(self) -> None:
        self._begun = True

    def _do_what_is_due(self) -> None:
        super()._do_what_is_due()
        if self._begun and self.idle():
            raise SessionEnded(Ending.NOT_STARTED, NOTHING_LEFT)


class StdioForward(_NoCommand):
    """A session that connects standard input and output with a place that the job can reach.

    Args:
        place: what to connect to.
        *args, **options: those of PipesSession.
    """

    def __init__(self, place: Place, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._place = place

    def _open(self) -> None:
        try:
            self._channel = self._conversation.open(self._place.kind, **self._place.fields)
        except (TooManyChannels, ValueError) as error:
            raise SessionEnded(Ending.NOT_STARTED, f"not connected to {self._place}: {error}") from None
        self._outputs.attach({STDOUT: self._channel.readers[STDIN]})

    def _happened(self, event: Event) -> None:
        if event.channel is None:
            ended = channel_end(event)
            if ended is not None:
                raise ended
        elif event.type == DATA or (event.type == EOF and not event.value):
            self._outputs.pump(STDOUT)
        elif event.type == STOP:
            self._source.stop()
        elif event.type in (REFUSED, CLOSE):
            raise self._end(event)

    def _end(self, event: Event) -> SessionEnded:
        """Returns how the session ends because the channel was refused or closed."""
        words = printable(event.value.words or event.value.code, MAX_WORDS)
        if event.type == REFUSED:
            if event.value.code in (TARGET_REFUSED, UNKNOWN_HOST, TIMEOUT):  # then the words begin with the place
                return SessionEnded(Ending.NOT_STARTED, f"the job cannot connect to {words or self._place}")
            return SessionEnded(Ending.NOT_STARTED, f"not connected to {self._place}: {words}")
        reader = event.channel.readers[STDIN]
        if reader.complete or reader.stopped:
            return SessionEnded(Ending.EXIT, end=Exit(status=0))
        return SessionEnded(Ending.BROKEN, f"the connection to {self._place} is lost" + (words and f" ({words})"))


def session_for(settings: Settings, idle: Callable[[], bool], *args: Any) -> PipesSession:
    """Returns the session that `settings` ask for: one without a command, or a command on pipes.

    Args:
        idle: a function that returns True if nothing is left to forward.
        *args: the arguments of PipesSession.
    """
    if settings.stdio is not None:
        return StdioForward(settings.stdio, *args)
    if not settings.no_command:
        return PipesSession(*args)
    session = ForwardOnly(*args)
    session.idle = idle
    return session
