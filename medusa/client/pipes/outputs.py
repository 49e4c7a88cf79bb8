"""Writes standard output and standard error of a command on pipes. If one of them is slow, the other does not wait."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping

from medusa.client.pipes.sink import Sink
from medusa.client.session.ending import Ending, SessionEnded
from medusa.protocol.channels.kinds import STDERR, STDOUT
from medusa.protocol.channels.subs import Reader

_NAMES = {STDOUT: "standard output", STDERR: "standard error"}


class Outputs:
    """Writes the output of a command on pipes to the descriptors `stdout` and `stderr`.

    Args:
        shown: a function that is called after each write to a terminal, with the last byte that was written.
        clock: a function that returns monotonic seconds.
    """

    def __init__(self, stdout: int, stderr: int, shown: Callable[[bytes], None], clock: Callable[[], float]) -> None:
        self._sinks = {STDOUT: Sink(stdout, shown, lasts=False), STDERR: Sink(stderr, shown, lasts=True)}
        self._clock = clock

    def attach(self, readers: Mapping[int, Reader]) -> None:
        """Starts to write what arrives. Call it after the channel was opened.

        Args:
            readers: STDOUT, STDERR or both -> what arrives for it.

        Raises:
            StreamError: too much waits to be sent to the agent (`overflow`).
        """
        for sub, reader in readers.items():
            self._sinks[sub].attach(reader)

    @property
    def pending(self) -> bool:
        """True if bytes have arrived that are not written yet."""
        return any(sink.pending for sink in self._sinks.values())

    @property
    def unread(self) -> bool:
        """True if output was lost because nobody reads standard output any more."""
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
        """Writes the bytes of one output that have arrived, as many as fit now.

        `sub`: STDOUT or STDERR. Raises the same exceptions as `act`.
        """
        sink = self._sinks[sub]
        try:
            sink.pump(self._clock())
        except BrokenPipeError:
            sink.stop()
        except OSError as error:
            text = f"cannot write to {_NAMES[sub]} ({error.strerror})"
            raise SessionEnded(Ending.OUTPUT_CLOSED, text) from error

    def pump_all(self) -> None:
        """Writes the bytes of both outputs that have arrived, as many as fit now.

        Raises the same exceptions as `act`.
        """
        for sub in self._sinks:
            self.pump(sub)

    def close(self) -> None:
        """Closes the descriptors that this object has opened. Call it at the end."""
        for sink in self._sinks.values():
            sink.close()
