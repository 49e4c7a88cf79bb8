"""Writes standard output and standard error of a command on pipes. If one of them is slow, the other does not wait."""

from __future__ import annotations

from collections.abc import Callable, Container

from medusa.client.pipes.sink import Sink
from medusa.client.session.ending import Ending, SessionEnded
from medusa.protocol.channels.channel import Channel
from medusa.protocol.channels.kinds import STDERR, STDOUT

_NAMES = {STDOUT: "standard output", STDERR: "standard error"}


class Outputs:
    """Writes the output of a channel to the descriptors `stdout` and `stderr`.

    Args:
        shown: a function that is called with the last bytes that were written to a terminal.
        clock: a function that returns monotonic seconds.
    """

    def __init__(self, stdout: int, stderr: int, shown: Callable[[bytes], None], clock: Callable[[], float]) -> None:
        self._sinks = {STDOUT: Sink(stdout, shown, lasts=False), STDERR: Sink(stderr, shown, lasts=True)}
        self._clock = clock

    def attach(self, channel: Channel) -> None:
        """Takes the output of `channel` from now on. Call it after the channel was opened.

        Raises:
            StreamError: too much waits to be sent to the agent (`overflow`).
        """
        for sub, sink in self._sinks.items():
            sink.attach(channel.readers[sub])

    @property
    def pending(self) -> bool:
        """True if bytes have arrived and were not written."""
        return any(sink.pending for sink in self._sinks.values())

    @property
    def unread(self) -> bool:
        """True if the reader of standard output is gone, and bytes for it have arrived that were not written."""
        return self._sinks[STDOUT].lost

    def wanted(self) -> dict[int, int]:
        """Returns the descriptors to poll, and for each the events to wait for, as flags of select.poll."""
        return {sink.fileno(): sink.events() for sink in self._sinks.values()}

    def act(self, ready: Container[int]) -> None:
        """Writes to the descriptors that poll has reported.

        If a descriptor is a pipe whose reader is gone, the agent is told to stop sending, and the session goes on.

        Raises:
            SessionEnded: writing has failed for another reason, such as a full disk.
            StreamError: too much waits to be sent to the agent (`overflow`).
        """
        for sub, sink in self._sinks.items():
            if sink.fileno() in ready:
                self.pump(sub)

    def pump(self, sub: int) -> None:
        """Writes what has arrived of one output, as much as fits now. `sub`: STDOUT or STDERR. Raises as `act` does."""
        sink = self._sinks[sub]
        try:
            sink.pump(self._clock())
        except BrokenPipeError:
            sink.stop()
        except OSError as error:
            text = f"cannot write to {_NAMES[sub]} ({error.strerror})"
            raise SessionEnded(Ending.OUTPUT_CLOSED, text) from error

    def pump_all(self) -> None:
        """Writes what has arrived of both outputs, as much as fits now. Raises as `act` does."""
        for sub in self._sinks:
            self.pump(sub)

    def close(self) -> None:
        """Closes what this object has opened. Call it at the end."""
        for sink in self._sinks.values():
            sink.close()
