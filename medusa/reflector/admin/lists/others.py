"""The interfaces to the sessions of the other workers and reflectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from medusa.reflector.admin.lists.pages import Entry, Part, Query, Source
from medusa.reflector.session_name import SessionName


class Ending(Protocol):
    """The interface to end a session of another worker or reflector."""

    def kill(self, name: SessionName) -> bool:
        """Ends the session `name` of another worker or reflector. Returns False if none of them has this session.

        Raises Refusal if the session cannot be looked up or ended.
        """


class Others(Ending, Protocol):
    """The interface to the sessions of the other reflectors that share the directory."""

    def part(self, own: Source, query: Query, silent: dict[str, str], fresh: bool) -> Part:
        """Returns a part of the list with the sessions of all reflectors. Raises Refusal if the directory is away.

        Args:
            own: returns the sessions of this reflector.
            silent: the reflectors that are not asked: their marks (see cursor.mark), each with the reason. Those that
                do not answer are added.
            fresh: False if the last known list of reflectors will do.
        """

    def rows(self, query: Query, silent: dict[str, str], row: str) -> tuple[list[Entry], str]:
        """Returns entries with an error, for sessions of reflectors that do not answer, and where to go on.

        Looks at a part of the directory, but not for sessions of one login while all reflectors answer. Raises Refusal
        if the directory is away.

        Args:
            silent: the marks of the reflectors that do not answer, each with the reason.
            row: where the last call has stopped; "" to begin. The returned text is "" at the end.
        """

    def row(self, name: SessionName) -> Entry | None:
        """Returns an entry with an error if another reflector has the session `name`, by the directory."""


class Workers(Ending, Protocol):
    """The interface to the other workers of this reflector and to their sessions."""

    def sources(self) -> Sequence[Source]:
        """Returns a function for each other worker, which returns the sessions of that worker."""

    def drain(self, name: SessionName, left: float, peer: str) -> bool:
        """Ends a pair of client and agent of another worker's session in `left` seconds; see SessionList.drain_here."""


class NoOthers:
    """An implementation of `Others` and `Workers` without any sessions.

    It takes the place of the other workers if there are none, and of the other reflectors if there are none.
    """

    def sources(self) -> Sequence[Source]:
        """Returns nothing."""
        return ()

    def part(self, own: Source, query: Query, silent: dict[str, str], fresh: bool) -> Part:
        """Returns what this reflector has."""
        return own(query)

    def rows(self, query: Query, silent: dict[str, str], row: str) -> tuple[list[Entry], str]:
        """Returns nothing."""
        return [], ""

    def row(self, name: SessionName) -> Entry | None:
        """Returns None: there is no such session."""
        return None

    def kill(self, name: SessionName) -> bool:
        """Returns False: there is no such session."""
        return False

    def drain(self, name: SessionName, left: float, peer: str) -> bool:
        """Returns False: there is no such session."""
        return False
