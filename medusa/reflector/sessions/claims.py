"""The names that this process holds in the directory: claimed, renewed, released.

The directory may be slow, or away. A session that lives goes on without it; no new one begins.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gevent
import gevent.event
import gevent.pool
import structlog

from medusa.directory import Claim, Directory, DirectoryError, Owner, SessionExists, StaleClaim
from medusa.reflector.config import Timeouts
from medusa.reflector.session_name import SessionName

log = structlog.get_logger(component="claims")

RENEWALS = 8
"""Renewals that run at the same time, at most."""

_TRIES = 3

_NO_NAME = "."
"""No session can have this name."""


class Claims:
    """The names that one process holds.

    Attributes:
        on_lost: called with a name that another reflector holds now; once.
        away: the directory did not answer, or refused, when it was last asked.
    """

    def __init__(self, directory: Directory, owner: Owner, timeouts: Timeouts) -> None:
        self.on_lost: Callable[[SessionName], None] = _ignore
        self._timeouts = timeouts
        self._directory = directory
        self._owner = owner
        self._claims: dict[SessionName, Claim | None] = {}  # None: asked for and not answered yet, or lost
        self._releasing = gevent.pool.Group()
        self._failed = gevent.event.Event()
        self._asking = 0
        self._answered = gevent.event.Event()  # since `finish` checked last

    @property
    def away(self) -> bool:
        return self._failed.is_set()

    def take(self, name: SessionName) -> None:
        """Claim `name`, and hold it until it is released. Waits.

        Raises:
            SessionExists: somebody holds it, perhaps this process.
            DirectoryError
        """
        if name in self._claims:
            raise SessionExists(self._claims[name] or Claim(str(name), self._owner, ""))
        self._claims[name] = None
        try:
            self._claims[name] = self._take(str(name))
        except BaseException:
            del self._claims[name]
            raise

    def release(self, name: SessionName) -> None:
        """Free `name` soon, in a greenlet: does not wait."""
        self._release(self._claims.pop(name))

    def release_now(self, name: SessionName) -> None:
        """Free `name`. Waits, so that a client that is refused after this may try another reflector at once."""
        claim = self._claims.pop(name)
        if claim is not None:
            self._ask_quietly(self._directory.release, claim)

    def elsewhere(self, name: SessionName) -> Owner | None:
        """The other reflector that holds `name`; None if nobody does, or this one. Waits.

        Raises:
            DirectoryError
        """
        owner = None if name in self._claims else self._ask(self._directory.lookup, str(name))
        return None if owner == self._owner else owner

    def of_others(self, limit: int) -> dict[str, Owner]:
        """The names that other reflectors hold, and their owners; `limit` of them at most. Waits.

        Raises:
            DirectoryError
        """
        return {name: by for name, by in self._directory.entries(limit).items() if by != self._owner}

    def check(self) -> None:
        """Ask the directory for a name that nobody holds. Waits.

        Raises:
            DirectoryError: it is away.
        """
        self._directory.lookup(_NO_NAME)

    def spend(self, mark: str, ttl: float) -> bool:
        """See Directory. Waits."""
        return bool(self._ask(self._directory.spend, mark, ttl))

    def give_back(self, mark: str) -> None:
        """See Directory. Does not wait."""
        self._ask_later(self._directory.give_back, mark)

    def renew_forever(self) -> None:
        """Renew what is held, three times in a `claim_ttl`. Run this in a greenlet of its own."""
        while True:
            if self._is_answering():
                self._renew_all()
                self._failed.wait(self._timeouts.claim_ttl / 3)
            if self.away:
                gevent.sleep(self._timeouts.claim_retry_interval)

    def finish(self) -> None:
        """Wait until all released names are free and all questions answered, `claim_release_timeout` at most."""
        gevent.with_timeout(self._timeouts.claim_release_timeout, self._finish, timeout_value=None)

    def _finish(self) -> None:
        # An answer may make its asker give a mark back, which is a question again.
        while self._asking or self._releasing:
            self._releasing.join()
            if self._asking:
                self._answered.clear()
                self._answered.wait()

    def _take(self, name: str) -> Claim:
        for tries_left in reversed(range(_TRIES)):
            try:
                return self._claim(name)
            except SessionExists as held:
                if held.owner != self._owner or not tries_left:
                    raise
                old = held.claim
            # The claim bears our address but we do not hold it: either our release is still in flight, or a previous
            # process at this address died.
            try:
                return self._inherit(old)
            except StaleClaim:
                pass  # it became free meanwhile
        raise AssertionError

    def _claim(self, name: str) -> Claim:
        claim: Claim = self._ask(self._directory.claim, name, self._owner, self._timeouts.claim_ttl)
        return claim

    def _inherit(self, old: Claim) -> Claim:
        claim: Claim = self._ask(self._directory.inherit, old, self._timeouts.claim_ttl)
        return claim

    def _release(self, claim: Claim | None) -> None:
        if claim is not None and not self.away:  # else it expires
            self._ask_later(self._directory.release, claim)

    def _ask_later(self, function: Callable[..., object], *arguments: object) -> None:
        self._releasing.add(gevent.spawn(self._ask_quietly, function, *arguments))

    def _ask_quietly(self, function: Callable[..., object], *arguments: object) -> None:
        try:
            self._ask(function, *arguments)
        except DirectoryError:
            pass  # `_ask` has logged it

    def _is_answering(self) -> bool:
        """Whether the directory answers a question that makes it write: a store that is full can still be read."""
        before = self.away
        try:
            self._directory.spend("probe of " + self._owner.address, 0.001)
        except DirectoryError as error:
            self._note_failure(error)
            return False
        self._failed.clear()
        if before:
            log.info("directory is back")
        return True

    def _renew_all(self) -> None:
        pool = gevent.pool.Pool(RENEWALS)
        for name, claim in list(self._claims.items()):
            if claim is not None and not self.away:
                pool.spawn(self._renew, name, claim)
        pool.join()

    def _renew(self, name: SessionName, claim: Claim) -> None:
        try:
            self._ask(self._directory.renew, claim, self._timeouts.claim_ttl)
        except DirectoryError:
            pass  # it is tried again
        except StaleClaim:
            if self._claims.get(name) is claim:
                self._restore(name, claim)

    def _restore(self, name: SessionName, old: Claim) -> None:
        """Claim a name again: the claim expired while this process or the directory was suspended, or was forgotten."""
        try:
            claim = self._claim(str(name))
        except DirectoryError:
            return
        except SessionExists as held:
            if self._claims.get(name) is old:
                self._claims[name] = None  # nothing is left to renew, or to free
                log.warning("claim lost", session=name.session_id, login=name.login, to=held.owner.address)
                self.on_lost(name)
            return
        if self._claims.get(name) is old:
            log.info("claim restored", session=name.session_id, login=name.login)
            self._claims[name] = claim
        else:
            self._release(claim)

    def _ask(self, function: Callable[..., Any], *arguments: object) -> Any:
        self._asking += 1
        try:
            return function(*arguments)
        except DirectoryError as error:
            self._note_failure(error)
            raise
        finally:
            self._asking -= 1
            self._answered.set()

    def _note_failure(self, error: DirectoryError) -> None:
        if not self.away:
            self._failed.set()
            log.error("directory unavailable", error=str(error), advice="sessions that live go on, no new ones begin")


def _ignore(name: SessionName) -> None:
    """The default of `on_lost`."""
