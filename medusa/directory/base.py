"""The interface of the directory, which knows for each session id the one reflector that owns it."""

from __future__ import annotations

import abc
import enum
from dataclasses import dataclass

TIMEOUT = 2.0
"""Seconds for a store to accept a connection, and as many again to answer a question."""

CONNECTIONS = 16
"""The maximum number of connections from one process to a store."""

TTL = 60.0
"""Seconds after which a claim expires unless it is renewed. So the ids of a dead reflector become free in time."""


@dataclass(frozen=True)
class Owner:
    """A reflector that owns sessions. `address` is the URL of its root, by which other reflectors reach it."""

    address: str


@dataclass(frozen=True)
class Claim:
    """The right of the reflector `owner` to hold `session_id`. Each claim has a different random `token`."""

    session_id: str
    owner: Owner
    token: str


class DirectoryError(Exception):
    """The store cannot be used, so it is unknown which ids are claimed. The text can be logged: it has no password."""


class SessionExists(Exception):
    """The session id is already claimed. `claim` is the claim that holds it."""

    def __init__(self, claim: Claim) -> None:
        super().__init__("the session exists")
        self.claim = claim

    @property
    def owner(self) -> Owner:
        """The reflector that holds the session id."""
        return self.claim.owner


class StaleClaim(Exception):
    """The claim no longer holds its session id: it has expired, or was released or replaced."""


class BrokenEntry(DirectoryError):
    """The store's entry for a session id or a mark (see Mark) was changed, or not written by a reflector of the site.

    So it is unknown whether the id is claimed, or the mark is used. Nothing is wrong with the store or other entries.
    """


class Mark(enum.Enum):
    """The state of a mark, as `Directory.reserve` found it. A mark names what may be used only once: a signature."""

    FREE = enum.auto()  # it was unused, and is now reserved for the caller
    RESERVED = enum.auto()  # another caller has reserved it, or has confirmed that
    USED = enum.auto()


class Directory(abc.ABC):
    """A store of claims on session ids. Every subclass passes tests/conformance/check_directory.py.

    Every method except `close` may raise DirectoryError. Each may block for seconds.
    """

    @abc.abstractmethod
    def claim(self, session_id: str, owner: Owner, ttl: float = TTL) -> Claim:
        """Claims the session id for `ttl` seconds, atomically. Call `renew` before the claim expires.

        Raises:
            SessionExists: another claim holds the id.
        """

    @abc.abstractmethod
    def inherit(self, old: Claim, ttl: float = TTL) -> Claim:
        """Replaces the claim `old` with a new claim of the same owner, atomically. Returns the new claim.

        Call this only if the process that held `old` has died.

        Raises:
            StaleClaim: `old` no longer holds its session id.
        """

    @abc.abstractmethod
    def renew(self, claim: Claim, ttl: float = TTL) -> None:
        """Makes the claim expire `ttl` seconds from now. Raises StaleClaim if it no longer holds its session id."""

    @abc.abstractmethod
    def release(self, claim: Claim) -> None:
        """Frees the session id. Does nothing if `claim` no longer holds it."""

    @abc.abstractmethod
    def lookup(self, session_id: str) -> Owner | None:
        """Returns the reflector that holds the session id, or None if the id is free."""

    @abc.abstractmethod
    def entries(self, limit: int) -> dict[str, Owner | None]:
        """Returns up to `limit` claimed session ids, each with its owner, or with None if its entry is broken.

        An id that is claimed or released during the call may be missing. This method does not raise BrokenEntry.
        """

    def leases(self) -> Directory:
        """Returns a directory in the same store whose names are the addresses of reflectors, not session ids."""
        return self

    def spend(self, mark: str, ttl: float) -> bool:
        """Records, atomically, that `mark` is used, for `ttl` seconds. Returns True if it was unused until now.

        A shared store records marks for all processes. Any other store records no marks and always returns True,
        because the only process that uses it remembers the marks itself. In such a store `reserve`, `confirm`,
        `settle` and `give_back` record nothing as well.
        """
        return True

    def reserve(self, mark: str, token: str, ttl: float) -> Mark:
        """Reserves `mark` for `ttl` seconds, atomically, if it is neither used nor reserved. Returns its former state.

        If this was FREE, call `confirm` next to use the mark, or `give_back` to leave it unused.

        Args:
            token: a random text, which tells this reservation from all others.
        """
        return Mark.FREE

    def confirm(self, mark: str, token: str, use: str, ttl: float) -> bool:
        """Extends the reservation of `mark` by `token` to `ttl` seconds from now, atomically. Returns True if it did.

        Returns False if that reservation does not hold: it has expired, was given back, or was confirmed before. Call
        `settle` after True. After an error it is unknown whether the reservation was extended: call `give_back`.

        Args:
            token: the text with which `reserve` was called.
            use: a new random text, which tells this use from all others. `settle` and `give_back` need it.
        """
        return True

    def settle(self, mark: str, use: str) -> None:  # noqa: B027 - see above
        """Records that `mark` is used, if `confirm` was called with `use` and has succeeded.

        Until this call, other callers of `reserve` get RESERVED, not USED, because the mark may still be given back.
        """

    def give_back(self, mark: str, *tokens: str) -> None:  # noqa: B027 - a store that remembers no marks has none
        """Makes `mark`, which stands for a signature, unused again if one of `tokens` has reserved or confirmed it.

        Otherwise does nothing.
        """

    def close(self) -> None:  # noqa: B027 - not every store has connections
        """Closes the connections to the store.

        Questions without an answer get some seconds for it. A question that is asked after this call connects again.
        """
