"""A directory that passes its calls to another directory, and measures how long each call takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from medusa.directory.base import TTL, BrokenEntry, Claim, Directory, DirectoryError, Mark, Owner

P = ParamSpec("P")
T = TypeVar("T")

Asked = Callable[[str, float, bool], None]
"""A callback about one call of a directory's method.

Its arguments: the name of the method, the seconds that the call took, and True if the call failed. A call has failed if
it raised DirectoryError, but not its subclass BrokenEntry.
"""


class TimedDirectory(Directory):
    """A directory that passes each call on to another directory, and measures how long the call took.

    Args:
        directory: the other directory.
        asked: called after each call of a method. It gets the name of the method, the seconds that the call took, and
            True if the call failed. See Asked.
    """

    def __init__(self, directory: Directory, asked: Asked) -> None:
        self.waits = directory.waits
        self._directory = directory
        self._asked = asked

    def claim(self, session_id: str, owner: Owner, ttl: float = TTL, lease: str = "") -> Claim:
        """Calls `claim` of the other directory, and reports how long the call took."""
        return self._timed("claim", self._directory.claim, session_id, owner, ttl, lease)

    def inherit(self, old: Claim, ttl: float = TTL, owner: Owner | None = None, lease: str = "") -> Claim:
        """Calls `inherit` of the other directory, and reports how long the call took."""
        return self._timed("inherit", self._directory.inherit, old, ttl, owner, lease)

    def renew(self, claim: Claim, ttl: float = TTL) -> None:
        """Calls `renew` of the other directory, and reports how long the call took."""
        self._timed("renew", self._directory.renew, claim, ttl)

    def release(self, claim: Claim) -> None:
        """Calls `release` of the other directory, and reports how long the call took."""
        self._timed("release", self._directory.release, claim)

    def lookup(self, session_id: str) -> Owner | None:
        """Calls `lookup` of the other directory, and reports how long the call took."""
        return self._timed("lookup", self._directory.lookup, session_id)

    def scan(self, cursor: str = "", begin: str = "") -> tuple[dict[str, Owner | None], str]:
        """Calls `scan` of the other directory, and reports how long the call took."""
        return self._timed("scan", self._directory.scan, cursor, begin)

    def spend(self, mark: str, ttl: float) -> bool:
        """Calls `spend` of the other directory, and reports how long the call took."""
        return self._timed("spend", self._directory.spend, mark, ttl)

    def is_spent(self, mark: str) -> bool:
        """Calls `is_spent` of the other directory, and reports how long the call took."""
        return self._timed("is_spent", self._directory.is_spent, mark)

    def reserve(self, mark: str, token: str, ttl: float) -> Mark:
        """Calls `reserve` of the other directory, and reports how long the call took."""
        return self._timed("reserve", self._directory.reserve, mark, token, ttl)

    def confirm(self, mark: str, token: str, use: str, ttl: float) -> bool:
        """Calls `confirm` of the other directory, and reports how long the call took."""
        return self._timed("confirm", self._directory.confirm, mark, token, use, ttl)

    def settle(self, mark: str, use: str) -> None:
        """Calls `settle` of the other directory, and reports how long the call took."""
        self._timed("settle", self._directory.settle, mark, use)

    def give_back(self, mark: str, *tokens: str) -> None:
        """Calls `give_back` of the other directory, and reports how long the call took."""
        self._timed("give_back", self._directory.give_back, mark, *tokens)

    def grant(self, lease: str, ttl: float = TTL) -> bool:
        """Calls `grant` of the other directory, and reports how long the call took."""
        return self._timed("grant", self._directory.grant, lease, ttl)

    def keep(self, lease: str, ttl: float = TTL) -> str | None:
        """Calls `keep` of the other directory, and reports how long the call took."""
        return self._timed("keep", self._directory.keep, lease, ttl)

    def touch(self, lease: str) -> None:
        """Calls `touch` of the other directory, and reports how long the call took."""
        self._timed("touch", self._directory.touch, lease)

    def revoke(self, lease: str) -> None:
        """Calls `revoke` of the other directory, and reports how long the call took."""
        self._timed("revoke", self._directory.revoke, lease)

    def leases(self) -> Directory:
        """Returns what `leases` of the other directory returns. The calls of that directory are not measured."""
        return self._directory.leases()

    def close(self) -> None:
        """Closes the other directory. This call is not measured, because it sends the store no request."""
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
