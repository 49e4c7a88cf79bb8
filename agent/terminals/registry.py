"""Holds all terminals of the agent."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, Optional, Union

from agent.command.resolve import CannotStart
from agent.poller import earliest
from agent.process.commands import describe_exit
from agent.process.terminal_child import GATHER_TIMEOUT
from agent.terminals.description import describe
from agent.terminals.terminal import Terminal
from medusa.protocol.resume.budget import Budget

MAX_TERMINALS = 16
"""The limit of the terminals of streams that one agent has at a time."""

MAX_VIEWERS = 16
"""The limit of the clients that show one terminal."""

LIMIT = "limit"


class Terminals:
    """All terminals of the agent. A terminal that has ended is kept for a while if no client was told so.

    Args:
        memory: the memory that all streams and terminals of the agent share.
    """

    def __init__(self, memory: Budget) -> None:
        self.memory = memory
        self._known: Dict[int, Terminal] = {}
        self._last = self._gone = 0
        self._due: Optional[float] = None  # when all terminals must be served

    def __len__(self) -> int:
        return sum(not terminal.over for terminal in self._known.values())

    @property
    def kept(self) -> bool:
        """True if a terminal without viewers, or the result of its command, is kept for a client that comes later."""
        return any(terminal.kept for terminal in self._known.values())

    @property
    def detached(self) -> bool:
        """True if there is a terminal without viewers that is kept until its command ends."""
        return any(terminal.kept and not terminal.ended for terminal in self._known.values())

    @property
    def kept_until(self) -> List[Optional[float]]:
        """For each terminal without viewers, the time until which the result of its command is kept.

        None if the command has not ended.
        """
        return [terminal.expires_at for terminal in self._known.values() if terminal.kept]

    @property
    def last_end(self) -> Optional[str]:
        """A text that says how a command has ended whose end no client was told; None if there is none."""
        ends = [describe_exit(each.child.exit) for each in self._known.values() if each.child.exit and not each.told]
        return [None, *ends][-1]

    @property
    def exits(self) -> int:
        """The number of commands on these terminals that have ended by themselves."""
        return self._gone + sum(terminal.ended for terminal in self._known.values())

    @property
    def calm(self) -> bool:
        """True if no command of these terminals has ended."""
        return all(terminal.child.exit is None for terminal in self._known.values())

    def make_room(self) -> None:
        """Makes sure that one more terminal may be added. Removes an ended terminal if there are too many.

        Raises:
            CannotStart: there are too many, and all of them are in use.
        """
        if len(self) < MAX_TERMINALS:
            return
        ended = [number for number, terminal in self._known.items() if terminal.ended and not terminal.viewers]
        if not ended:
            raise CannotStart("this job has %d terminals already; end one of them first" % MAX_TERMINALS, LIMIT)
        self._known.pop(ended[0]).ring.clear()
        self._gone += 1

    def add(self, make: Callable[[int], Terminal]) -> Terminal:
        """Adds the terminal that `make` returns, and returns it. The argument of `make` is the terminal's number."""
        self._last += 1
        terminal = self._known[self._last] = make(self._last)
        return terminal

    def find(self, wanted: Union[int, str, None], words: str = "") -> Terminal:
        """Returns the terminal whose number or name is `wanted`; the last terminal if `wanted` is None.

        If several terminals have the name, returns the last of them. `words` are added to the text of an exception.

        Raises:
            CannotStart: there is no such terminal, or too many clients show it.
        """
        for terminal in reversed(list(self._known.values())):
            if not terminal.over and wanted in (None, terminal.number, terminal.name or None):
                if not terminal.make_room(MAX_VIEWERS):
                    raise CannotStart("%d clients show this terminal already" % MAX_VIEWERS, LIMIT)
                return terminal
        known = ", ".join(filter(None, (self._label(terminal) for terminal in self._known.values())))
        which = "no terminal" if wanted is None else "no terminal %s" % wanted
        raise CannotStart("this job has %s%s%s" % (which, known and "; it has: " + known, words), "no-terminal")

    @staticmethod
    def _label(terminal: Terminal) -> str:
        return "%d (%s)" % (terminal.number, terminal.name) if terminal.name else str(terminal.number)

    def describe(self) -> List[Dict[str, Any]]:
        """Returns a description of each terminal, for a client that asks which terminals there are."""
        return [describe(terminal) for terminal in self._known.values()]

    # ------------------------------------------------------------------ the loop

    def wanted(self, now: float) -> Dict[int, int]:
        """Returns the events to poll for, as a mask for each descriptor."""
        wanted: Dict[int, int] = {}
        for terminal in self._known.values():
            wanted.update(terminal.wanted(now))
        return wanted

    def deadline(self, now: float) -> Optional[float]:
        """Returns the time at which to call `serve` even without an event; None to wait for events only."""
        at = earliest([terminal.deadline(now) for terminal in self._known.values()])
        if self._due is None or now >= self._due or (at is not None and at < self._due):
            self._due = at  # otherwise the time stays, because some deadlines move on with each round
        return at

    def serve(self, now: float, events: Mapping[int, int]) -> None:
        """Moves the input and output of the terminals that have events, or of all if a deadline has come.

        Call it in each round, before the links are served: they move what comes over them.
        """
        late = self._due is not None and now >= self._due
        for terminal in list(self._known.values()):
            # If nothing else is ready, nothing waits while output is gathered.
            child = terminal.child
            terminal.gather_until = now + GATHER_TIMEOUT if [*events] == [child.fd] else 0.0
            if late or child.fd in events or child.exit is not None:
                terminal.serve(now, events)
            if terminal.over:
                del self._known[terminal.number]
                self._gone += terminal.ended
