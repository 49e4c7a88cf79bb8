"""The directory: which reflector owns which session id. At most one does, at any time."""

from __future__ import annotations

import abc
from dataclasses import dataclass

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
    """The store cannot be used: nothing is known of any claim."""


class SessionExists(Exception):
    """The id is claimed; `owner` by whom."""

    def __init__(self, owner: Owner) -> None:
        super().__init__("the session exists")
        self.owner = owner


class StaleClaim(Exception):
    """The claim is not the one that holds the id now: it expired, or was released."""


class Directory(abc.ABC):
    """Every store passes tests/conformance/check_directory.py. All methods may raise DirectoryError."""

    @abc.abstractmethod
    def claim(self, session_id: str, owner: Owner, ttl: float = TTL) -> Claim:
        """Create if absent, atomically, for `ttl` seconds. Raises SessionExists."""

    @abc.abstractmethod
    def renew(self, claim: Claim, ttl: float = TTL) -> None:
        """Hold on for `ttl` seconds from now. Raises StaleClaim."""

    @abc.abstractmethod
    def release(self, claim: Claim) -> None:
        """Free the id, if it is still this claim that holds it; else nothing."""

    @abc.abstractmethod
    def lookup(self, session_id: str) -> Owner | None:
        """Who holds the id, None when nobody does."""
