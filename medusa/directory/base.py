"""The directory: which reflector owns which session id. At most one does, at any time."""

from __future__ import annotations

import abc
from dataclasses import dataclass

TIMEOUT = 2.0
"""Seconds for a store to accept a connection, and again to answer."""

CONNECTIONS = 16
"""To a store, at most."""

TTL = 60.0
"""Seconds that a claim holds unless it is renewed: after so long at most the ids of a dead reflector are free."""


@dataclass(frozen=True)
class Owner:
    """A reflector. `address`: the URL of its root, by which other reflectors reach it."""

    address: str


@dataclass(frozen=True)
class Claim:
    """The right to hold `session_id`. `token` differs from that of any other claim on the same id."""

    session_id: str
    owner: Owner
    token: str


class DirectoryError(Exception):
    """The store cannot be used, so nothing is known about any claim. The text holds no password."""


class SessionExists(Exception):
    """The id is claimed already. `claim`: the claim that holds it."""

    def __init__(self, claim: Claim) -> None:
        super().__init__("the session exists")
        self.claim = claim

    @property
    def owner(self) -> Owner:
        """The reflector that holds the id."""
        return self.claim.owner


class StaleClaim(Exception):
    """The claim does not hold the id any more: it expired, was released, or was replaced."""


class Directory(abc.ABC):
    """Claims on session ids. Every store passes tests/conformance/check_directory.py.

    All methods but `close` may raise DirectoryError, and may take seconds.
    """

    @abc.abstractmethod
    def claim(self, session_id: str, owner: Owner, ttl: float = TTL) -> Claim:
        """Claim the id for `ttl` seconds, atomically. Call `renew` before they are over.

        Raises:
            SessionExists: another claim holds it.
        """

    @abc.abstractmethod
    def inherit(self, old: Claim, ttl: float = TTL) -> Claim:
        """Replace `old` by a new claim of the same owner, atomically. Call only if the holder of `old` has died.

        Raises:
            StaleClaim: `old` does not hold the id any more.
        """

    @abc.abstractmethod
    def renew(self, claim: Claim, ttl: float = TTL) -> None:
        """Hold the id for `ttl` seconds from now. Raises StaleClaim."""

    @abc.abstractmethod
    def release(self, claim: Claim) -> None:
        """Free the id. Does nothing if `claim` does not hold it any more."""

    @abc.abstractmethod
    def lookup(self, session_id: str) -> Owner | None:
        """The reflector that holds the id; None if it is free."""

    @abc.abstractmethod
    def entries(self, limit: int) -> dict[str, Owner]:
        """Up to `limit` ids that are held, and their owners. Ids that change hands meanwhile may be missing."""

    def spend(self, mark: str, ttl: float) -> bool:
        """Remember `mark` for `ttl` seconds, atomically. True if it was not remembered yet.

        Only a shared store does so, for all processes; with others, each process has to remember its own marks.
        """
        return True

    def give_back(self, mark: str) -> None:  # noqa: B027 - a store that remembers no marks has none to forget
        """Forget `mark`: it was not used after all."""

    def close(self) -> None:  # noqa: B027 - not every store has connections
        """Close the connections. Calls that wait for an answer get some seconds; later calls connect again."""
