"""The directory: which reflector owns which session id. At most one does, at any time."""

from __future__ import annotations

import abc
from dataclasses import dataclass

TIMEOUT = 2.0
"""Seconds for a store to accept a connection, and again to answer."""

CONNECTIONS = 16
"""To a store, at most."""

TTL = 60.0
"""Seconds that a claim holds unless renewed: the longest that the ids of a dead reflector stay taken."""


@dataclass(frozen=True)
class Owner:
    """A reflector, by the address at which others reach it."""

    address: str


@dataclass(frozen=True)
class Claim:
    """The right to hold `session_id`; `token` tells this claim from any other on the same id, earlier or later."""

    session_id: str
    owner: Owner
    token: str


class DirectoryError(Exception):
    """The store cannot be used: nothing is known of any claim. The text has no password in it."""


class SessionExists(Exception):
    """The id is claimed; `claim` says by whom."""

    def __init__(self, claim: Claim) -> None:
        super().__init__("the session exists")
        self.claim = claim

    @property
    def owner(self) -> Owner:
        """Who holds it."""
        return self.claim.owner


class StaleClaim(Exception):
    """The claim is not the one that holds the id now: it expired, or was released."""


class Directory(abc.ABC):
    """Every store passes tests/conformance/check_directory.py. All methods may raise DirectoryError, and may wait."""

    @abc.abstractmethod
    def claim(self, session_id: str, owner: Owner, ttl: float = TTL) -> Claim:
        """Create if absent, atomically, for `ttl` seconds. Raises SessionExists."""

    @abc.abstractmethod
    def inherit(self, old: Claim, ttl: float = TTL) -> Claim:
        """A new claim of the same owner in place of `old`, atomically: for who knows that the holder of that is gone.

        Raises:
            StaleClaim: another holds the id by now, or nobody does.
        """

    @abc.abstractmethod
    def renew(self, claim: Claim, ttl: float = TTL) -> None:
        """Hold on for `ttl` seconds from now. Raises StaleClaim."""

    @abc.abstractmethod
    def release(self, claim: Claim) -> None:
        """Free the id, if it is still this claim that holds it; else nothing."""

    @abc.abstractmethod
    def lookup(self, session_id: str) -> Owner | None:
        """Who holds the id, None when nobody does."""

    @abc.abstractmethod
    def entries(self, limit: int) -> dict[str, Owner]:
        """The ids that are held, and by whom; `limit` of them at the most. Not one moment's picture."""

    def spend(self, mark: str, ttl: float) -> bool:
        """Remember `mark` for `ttl` seconds; whether nobody had before. A store that several processes share knows the
        marks of all; of others each process remembers its own elsewhere."""
        return True

    def give_back(self, mark: str) -> None:  # noqa: B027 - what spends nothing has nothing to give back
        """`mark` was not spent after all."""

    def close(self) -> None:  # noqa: B027 - not every store has connections
        """Let go of connections; whoever asks again gets new ones. Gives those who have asked some seconds before."""
