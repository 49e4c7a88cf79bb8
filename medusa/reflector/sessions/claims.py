"""Claims the names of this process's sessions in the directory, renews and releases them.

The directory is the store that all reflectors share. If it does not answer, live sessions go on, but none can begin.
"""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol, TypeVar

import gevent
import gevent.event
import gevent.pool
import structlog

from medusa.directory import (
    BrokenEntry,
    Claim,
    Directory,
    DirectoryError,
    Mark,
    Owner,
    SessionExists,
    StaleClaim,
)
from medusa.reflector.config import Timeouts
from medusa.reflector.session_name import SessionName

K = TypeVar("K")
V = TypeVar("V")

log = structlog.get_logger(component="claims")

RENEWALS = 8
"""The maximum number of renewals at the same time."""

_TRIES = 3

_NO_NAME = "."
"""A name that no session can have."""


MAX_OWED = 4096
"""At most so many session names, and as many marks, are kept to be freed after the directory answers again."""

_TOKENS = 16
"""The maximum number of tokens (see Directory.give_back) that are kept for one mark."""


class Lease(Protocol):
    """The right of this reflector to its address; see medusa.reflector.cluster.lease."""

    displaced: str

    @property
    def held(self) -> bool:
        """True if this reflector has the lease, as far as it knows."""

    def keep(self) -> bool:
        """Renews the lease. If the directory has lost it, records it anew, and returns True. Raises DirectoryError."""


class Forgetful(DirectoryError):
    """No mark (name of a signature) can be reserved now: the directory has lost its contents, for example by a restart.

    A used mark may look unused, until all reflectors have told the directory which marks they have used.
    """


class Claims:
    """The session names that one process has claimed in the directory.

    Most methods ask the directory, and block their greenlet until it answers.

    Attributes:
        on_lost: a function that is called once for each name that another reflector has taken over, with the name.
        used_marks: a function that is called if the directory has forgotten everything. It returns the marks (names of
            signatures) that this process has used, each with the seconds for which the directory has to remember it.
        away: True if the directory did not answer the last time.
    """

    def __init__(self, directory: Directory, owner: Owner, timeouts: Timeouts, lease: Lease | None = None) -> None:
        self.on_lost: Callable[[SessionName], None] = _ignore
        self.used_marks: Callable[[], Iterable[tuple[str, float]]] = tuple
        self._lease = lease
        self._untold: dict[str, float] = {}  # by forgotten mark: for how many seconds the directory has to remember it
        self._recalled_at = 0.0  # by time.monotonic(): when the directory knows again all that it had forgotten
        self._timeouts = timeouts
        self._directory = directory
        self._owner = owner
        self._claims: dict[SessionName, Claim | None] = {}  # None: the claim is not confirmed yet, or is lost
        self._broken: set[SessionName] = set()  # names of ours whose entries were changed
        # What to undo when the directory is back, because it may have carried out what it has not answered:
        self._owed_marks: dict[str, tuple[str, ...]] = {}  # by mark, the tokens by which to give it back
        self._owed_names: dict[SessionName, None] = {}  # a set in order of age
        self._releasing = gevent.pool.Group()
        self._failed = gevent.event.Event()
        self._asking = 0
        self._answered = gevent.event.Event()  # set by each answer since `_finish` last checked

    @property
    def away(self) -> bool:
        return self._failed.is_set()

    @property
    def displaced(self) -> str:
        """The reason why this reflector may not use its address any more; "" if it may use its address."""
        return self._lease.displaced if self._lease is not None else ""

    @property
    def _has_address(self) -> bool:
        """False if another live reflector may be using this reflector's address, and may have made claims with it."""
        return self._lease is None or self._lease.held

    def take(self, name: SessionName) -> None:
        """Claims `name`, and keeps it claimed until it is released. Blocks until the directory answers.

        Raises:
            SessionExists: another reflector, or this process, already holds the name.
            DirectoryError: the directory did not answer.
            BrokenEntry: it is unknown whether another reflector holds the name.
        """
        if name in self._claims:
            raise SessionExists(self._claims[name] or Claim(str(name), self._owner, ""))
        self._claims[name] = None
        try:
            self._claims[name] = self._take(str(name))
        except BaseException as error:
            del self._claims[name]
            if isinstance(error, DirectoryError) and not isinstance(error, BrokenEntry):
                _put(self._owed_names, name, None)
            raise

    def release(self, name: SessionName) -> None:
        """Starts to release `name` in a new greenlet. Does not block."""
        self._broken.discard(name)
        self._release(self._claims.pop(name))

    def release_now(self, name: SessionName) -> None:
        """Releases `name`. Blocks until it is free, so that a refused client can try another reflector at once."""
        claim = self._claims.pop(name)
        if claim is not None:
            self._ask_quietly(self._directory.release, claim)

    def elsewhere(self, name: SessionName) -> Owner | None:
        """Returns the other reflector that holds `name`. None if this reflector holds `name`, or if no reflector does.

        Blocks until the directory answers, unless this process has a confirmed claim on `name`.

        Raises:
            DirectoryError: the directory did not answer.
            BrokenEntry: it is unknown which reflector holds the name.
        """
        owner = None if self._claims.get(name) is not None else self._ask(self._directory.lookup, str(name))
        return None if owner == self._owner else owner

    def of_others(self, limit: int) -> dict[str, Owner | None]:
        """Returns up to `limit` names that other reflectors hold, each with its owner.

        The owner is None if the entry of the name is broken. Blocks until the directory answers.

        Raises:
            DirectoryError: the directory did not answer.
        """
        return {name: by for name, by in self._directory.entries(limit).items() if by != self._owner}

    def other_reflectors(self, limit: int) -> list[Owner]:
        """Returns up to `limit` other reflectors that share the directory. Blocks until the directory answers.

        Raises:
            DirectoryError: the directory did not answer.
        """
        leases = self._directory.leases().entries(limit)
        return [Owner(address) for address, by in leases.items() if by is not None and address != self._owner.address]

    def check(self) -> None:
        """Checks that the directory answers, by looking up a name that no session can have.

        Raises:
            DirectoryError: the directory did not answer.
        """
        try:
            self._directory.lookup(_NO_NAME)
        except BrokenEntry:
            pass  # it has answered

    def spend(self, mark: str, ttl: float) -> bool:
        """Records for `ttl` seconds that `mark` is used. Returns True if it was unused before. See Directory."""
        return bool(self._ask(self._directory.spend, mark, ttl))

    def reserve(self, mark: str, token: str) -> Mark:
        """Reserves `mark` (the name of a signature) for `reservation_ttl`. Returns its former state. See Directory.

        Raises:
            Forgetful: the directory has forgotten everything, so the mark may have been used at another reflector.
        """
        found: Mark = self._ask(self._directory.reserve, mark, token, self._timeouts.reservation_ttl)
        self._recall()  # if the directory has forgotten the mark, it has forgotten the lease
        if found is Mark.FREE and time.monotonic() < self._recalled_at:
            raise Forgetful("it has forgotten everything, and is being told again what was used")
        return found

    def confirm(self, mark: str, token: str, use: str, ttl: float) -> bool:
        """Extends a reservation of `mark` to `ttl` seconds from now. Returns False if it has ended. See Directory."""
        return bool(self._ask(self._directory.confirm, mark, token, use, ttl))

    def settle(self, mark: str, use: str) -> None:
        """Records that the confirmed `mark` is used. See Directory. Blocks until the directory answers."""
        self._ask(self._directory.settle, mark, use)

    def give_back(self, mark: str, *tokens: str) -> None:
        """Makes `mark` unused again, now or after the directory answers again. Does not block. See Directory."""
        self._releasing.add(gevent.spawn(self._give_back, mark, tokens))

    def renew_forever(self) -> None:
        """Renews all claims three times in each `claim_ttl`. Never returns: run it in a greenlet of its own."""
        while True:
            if self._is_answering():
                self._keep_lease()
                self._undo()
                self._renew_all()
                self._wait_for_renewal()
            if self.away:
                gevent.sleep(self._timeouts.claim_retry_interval)

    def finish(self) -> None:
        """Waits until the directory has answered all requests of this process, so that all released names are free.

        Waits at most `claim_release_timeout`.
        """
        gevent.with_timeout(self._timeouts.claim_release_timeout, self._finish, timeout_value=None)

    def _finish(self) -> None:
        # An answer may make its caller give a mark back, which asks the directory another question.
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
                if held.owner != self._owner or not tries_left or not self._has_address:
                    raise
                old = held.claim
            # The claim has our address, but this process does not hold it: either our release was not carried out yet,
            # or it belongs to an earlier process at this address, which has died.
            try:
                return self._inherit(old)
            except StaleClaim:
                pass  # the name became free meanwhile: claim it again
        raise AssertionError

    def _claim(self, name: str) -> Claim:
        claim: Claim = self._ask(self._directory.claim, name, self._owner, self._timeouts.claim_ttl)
        return claim

    def _inherit(self, old: Claim) -> Claim:
        claim: Claim = self._ask(self._directory.inherit, old, self._timeouts.claim_ttl)
        return claim

    def _release(self, claim: Claim | None) -> None:
        if claim is not None and not self.away:  # otherwise the claim expires
            self._ask_later(self._directory.release, claim)

    def _ask_later(self, function: Callable[..., object], *arguments: object) -> None:
        self._releasing.add(gevent.spawn(self._ask_quietly, function, *arguments))

    def _ask_quietly(self, function: Callable[..., object], *arguments: object) -> None:
        try:
            self._ask(function, *arguments)
        except DirectoryError:
            pass  # `_ask` has logged it; a broken entry is reported to the peer that asks for its name

    def _give_back(self, mark: str, tokens: tuple[str, ...]) -> None:
        try:
            self._ask(self._directory.give_back, mark, *tokens)
        except BrokenEntry:
            pass  # nothing of ours is there
        except DirectoryError:
            tokens = (*self._owed_marks.pop(mark, ()), *tokens)
            _put(self._owed_marks, mark, tokens[-_TOKENS:])

    def _undo(self) -> None:
        """Frees the names and marks that the directory may have recorded although it did not answer."""
        self._each(self._undo_mark, list(self._owed_marks.items()))
        self._each(self._undo_name, [(name,) for name in self._owed_names])

    def _undo_mark(self, mark: str, tokens: tuple[str, ...]) -> None:
        self._owed_marks.pop(mark, None)
        self._give_back(mark, tokens)

    def _undo_name(self, name: SessionName) -> None:
        self._owed_names.pop(name, None)
        if name in self._claims:
            return
        try:
            claim = self._take(str(name))
        except (SessionExists, BrokenEntry):
            return
        except DirectoryError:
            _put(self._owed_names, name, None)
            return
        # If a client has come meanwhile, its claim has replaced this one, and the release does nothing.
        self._ask_quietly(self._directory.release, claim)

    def _wait_for_renewal(self) -> None:
        """Waits until the next renewal is due. Returns earlier if the directory fails or has forgotten everything."""
        due = time.monotonic() + self._timeouts.claim_ttl / 3
        interval = math.inf if self._lease is None else self._timeouts.claim_retry_interval
        while (left := due - time.monotonic()) > 0:
            if self._failed.wait(min(left, interval)) or self._keep_lease():
                return

    def _keep_lease(self) -> bool:
        """Calls `_recall`, and returns its result. Returns False if the directory does not answer."""
        try:
            return self._recall()
        except DirectoryError:
            return False

    def _recall(self) -> bool:
        """Renews the lease on the address. If the directory has forgotten everything, returns True.

        A missing lease shows that the directory has forgotten everything. In this case this method tells the directory
        which marks (names of signatures) were used here. After that, `reserve` reserves no mark for `recall_timeout`
        seconds, so that the other reflectors can tell the directory their marks first.

        Raises DirectoryError.
        """
        if self._lease is None:
            return False
        forgotten = bool(self._ask(self._lease.keep))
        if forgotten:
            self._recalled_at = time.monotonic() + self._timeouts.recall_timeout
            self._untold = dict(self.used_marks())
        self._each(self._tell, list(self._untold.items()))
        return forgotten

    def _tell(self, mark: str, ttl: float) -> None:
        """Records in the directory, for `ttl` seconds, that `mark` (the name of a signature) was used.

        If the directory does not answer, the next call of `_recall` records it. Raises nothing.
        """
        try:
            self._ask(self._directory.spend, mark, ttl)
        except DirectoryError:
            return
        self._untold.pop(mark, None)

    def _is_answering(self) -> bool:
        """Returns True if the directory accepts a write. (To read is not enough: a full store can still be read.)"""
        before = self.away
        try:
            self._directory.spend("probe " + secrets.token_hex(16), 0.001)
        except DirectoryError as error:
            self._note_failure(error)
            return False
        self._failed.clear()
        if before:
            log.info("directory is back")
        return True

    def _renew_all(self) -> None:
        self._each(self._renew, [(name, claim) for name, claim in self._claims.items() if claim is not None])

    def _each(self, function: Callable[..., object], calls: Iterable[tuple[Any, ...]]) -> None:
        """Calls `function` with each tuple of arguments in `calls`. Skips the rest if the directory stops answering.

        At most RENEWALS calls run at the same time.
        """
        pool = gevent.pool.Pool(RENEWALS)
        for arguments in calls:
            if not self.away:
                pool.spawn(function, *arguments)
        pool.join()

    def _renew(self, name: SessionName, claim: Claim) -> None:
        try:
            self._ask(self._directory.renew, claim, self._timeouts.claim_ttl)
        except (StaleClaim, BrokenEntry):
            if self._claims.get(name) is claim:
                self._restore(name, claim)
        except DirectoryError:
            pass  # `renew_forever` tries again

    def _restore(self, name: SessionName, old: Claim) -> None:
        """Claims `name` again after its claim was lost: it expired during a suspension, or the store forgot it."""
        try:
            claim = self._claim(str(name))
        except BrokenEntry as error:  # the session goes on; `name` is claimed again when that entry is gone
            if name not in self._broken and self._claims.get(name) is old:
                self._broken.add(name)
                log.warning("entry broken", session=name.session_id, login=name.login, reason=str(error))
            return
        except DirectoryError:
            return
        except SessionExists as held:
            if self._claims.get(name) is old:
                self._claims[name] = None  # there is no claim left to renew or to release
                log.warning("claim lost", session=name.session_id, login=name.login, to=held.owner.address)
                self.on_lost(name)
            return
        self._broken.discard(name)
        if self._claims.get(name) is old:
            log.info("claim restored", session=name.session_id, login=name.login)
            self._claims[name] = claim
        else:
            self._release(claim)

    def _ask(self, function: Callable[..., Any], *arguments: object) -> Any:
        self._asking += 1
        try:
            return function(*arguments)
        except BrokenEntry:
            raise  # the directory has answered
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
    """Does nothing: the default of `on_lost`."""


def _put(owed: dict[K, V], key: K, value: V) -> None:
    """Adds an entry to `owed`, the names or marks to be freed later. If there are too many, drops the oldest."""
    owed[key] = value
    while len(owed) > MAX_OWED:
        del owed[next(iter(owed))]
