"""A directory that measures how long each question to another directory takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from medusa.directory.base import TTL, BrokenEntry, Claim, Directory, DirectoryError, Mark, Owner

P = ParamSpec("P")
T = TypeVar("T")

Asked = Callable[[str, float, bool], None]
"""A callback with three arguments: the method's name, the seconds it took, whether it raised DirectoryError."""


class TimedDirectory(Directory):
    """A directory that passes each question to `directory`, and calls `asked` after each answer or failure."""

    def __init__(self, directory: Directory, asked: Asked) -> None:
        self._directory = directory
        self._asked = asked

    def claim(self, session_id: str, owner: Owner, ttl: float = TTL) -> Claim:
        """See Directory."""
        return self._timed("claim", self._directory.claim, session_id, owner, ttl)

    def inherit(self, old: Claim, ttl: float = TTL) -> Claim:
        """See Directory."""
        return self._timed("inherit", self._directory.inherit, old, ttl)

    def renew(self, claim: Claim, ttl: float = TTL) -> None:
        """See Directory."""
        self._timed("renew", self._directory.renew, claim, ttl)

    def release(self, claim: Claim) -> None:
        """See Directory."""
        self._timed("release", self._directory.release, claim)

    def lookup(self, session_id: str) -> Owner | None:
        """See Directory."""
        return self._timed("lookup", self._directory.lookup, session_id)

    def entries(self, limit: int) -> dict[str, Owner | None]:
        """See Directory."""
        return self._timed("entries", self._directory.entries, limit)

    def spend(self, mark: str, ttl: float) -> bool:
        """See Directory."""
        return self._timed("spend", self._directory.spend, mark, ttl)

    def reserve(self, mark: str, token: str, ttl: float) -> Mark:
        """See Directory."""
        return self._timed("reserve", self._directory.reserve, mark, token, ttl)

    def confirm(self, mark: str, token: str, use: str, ttl: float) -> bool:
        """See Directory."""
        return self._timed("confirm", self._directory.confirm, mark, token, use, ttl)

    def settle(self, mark: str, use: str) -> None:
        """See Directory."""
        self._timed("settle", self._directory.settle, mark, use)

    def give_back(self, mark: str, *tokens: str) -> None:
        """See Directory."""
        self._timed("give_back", self._directory.give_back, mark, *tokens)

    def leases(self) -> Directory:
        """See Directory. Questions to it are not measured."""
        return self._directory.leases()

    def close(self) -> None:
        """See Directory. This call is not measured: it asks the store nothing."""
        self._directory.close()

    def _timed(self, name: str, ask: Callable[P, T], *arguments: P.args, **keywords: P.kwargs) -> T:
        begun, failed = time.monotonic(), False
        try:
            return ask(*arguments, **keywords)
        except DirectoryError as error:
            failed = not isinstance(error, BrokenEntry)
            raise
        finally:
            self._asked(name, time.monotonic() - begun, failed)
