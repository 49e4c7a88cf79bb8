"""Claims the names of this process's sessions in the directory, renews and releases them.

The directory is the store that all reflectors share. If it does not answer, live sessions go on, but none can begin.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence

import gevent
import gevent.pool
import structlog

from medusa.directory import (
    BrokenEntry,
    Claim,
    Directory,
    DirectoryError,
    Owner,
    SessionExists,
    StaleClaim,
)
from medusa.reflector.config import Timeouts
from medusa.reflector.session_name import SessionName
from medusa.reflector.sessions.claims.asker import CONCURRENCY, Asker, owe
from medusa.reflector.sessions.claims.marks import Lease, Marks

log = structlog.get_logger(component="claims")

_TRIES = 3

_NO_NAME = "."
"""A name that no session can have."""


class Claims:
    """Claims the names of one process's sessions in the directory. A claimed name cannot be used by another reflector.

    Most methods ask the directory, and block their greenlet until it answers.

    Attributes:
        on_lost: a function that is called with each name that another reflector has taken over.
        marks: records used signatures and ended sessions in the directory.
        owner: this reflector.
    """

    def __init__(self, directory: Directory, owner: Owner, timeouts: Timeouts, lease: Lease | None = None) -> None:
        self.on_lost: Callable[[SessionName], None] = _ignore
        self._asker = Asker(directory, timeouts)
        self.marks = Marks(self._asker, timeouts, lease)
        self._lease = lease
        self._timeouts = timeouts
        self._directory = directory
        self.owner = owner
        self._claims: dict[SessionName, Claim | None] = {}  # None: the claim is not confirmed yet, or is lost
        self._broken: set[SessionName] = set()  # names of ours whose entries were changed
        # The names to free when the directory is back, because it may have claimed them although it did not answer:
        self._owed: dict[SessionName, None] = {}  # a set in order of age

    @property
    def away(self) -> bool:
        """True if the directory did not answer the last time."""
        return self._asker.away

    @property
    def displaced(self) -> str:
        """The reason why this reflector must not use its address any more; "" if it may use it."""
        return self._lease.displaced if self._lease is not None else ""

    @property
    def _has_address(self) -> bool:
        """True if no other live reflector can be using this reflector's address.

        Then all claims with this address belong to this reflector, or to an earlier process of it.
        """
        return self._lease is None or self._lease.held

    def take(self, name: SessionName, instead_of: Owner | None = None) -> None:
        """Claims `name`, and keeps it claimed until it is released. Blocks until the directory answers.

        Args:
            instead_of: another reflector, which cannot be reached. If it holds the name, its claim is replaced in two
                cases: the claim is older than `claim_move_age`, or the reflector has certainly ended.

        Raises:
            SessionExists: another reflector, or this process, already holds the name.
            DirectoryError: the directory did not answer.
            BrokenEntry: it is unknown whether another reflector holds the name.
        """
        if name in self._claims:
            raise SessionExists(self._claims[name] or Claim(str(name), self.owner, ""))
        self._claims[name] = None
        try:
            self._claims[name] = self._take(str(name), instead_of)
        except BaseException as error:
            del self._claims[name]
            if isinstance(error, DirectoryError) and not isinstance(error, BrokenEntry):
                owe(self._owed, name, None)
            raise

    def release(self, name: SessionName, ends: Sequence[str] = ()) -> None:
        """Releases `name` if it is claimed. Does not block: if the directory is slow, a new greenlet waits for it.

        Args:
            ends: marks that name the session, if it has ended for good; see Marks.add. The directory records them
                before it frees the name. Otherwise a peer with a ticket could open the session again as soon as the
                name is free.
        """
        self._broken.discard(name)
        self._release(self._claims.pop(name, None), ends)

    def release_now(self, name: SessionName) -> None:
        """Releases `name`, and blocks until the directory answers. A refused client can then try another reflector."""
        claim = self._claims.pop(name, None)
        if claim is not None:
            self._asker.ask_quietly(self._directory.release, claim)

    def release_each(self, names: Iterable[SessionName], then: Callable[[SessionName], None]) -> None:
        """Releases each of `names`. Calls `then` with each name as soon as it is free. Returns when all are released.

        If the directory does not answer, also calls `then`, because the claim will expire.
        """

        def release(name: SessionName) -> None:
            self.release_now(name)
            then(name)

        pool = gevent.pool.Pool(CONCURRENCY)
        for name in names:
            pool.spawn(release, name)
        pool.join()

    def elsewhere(self, name: SessionName) -> Owner | None:
        """Returns the other reflector that holds `name`. Returns None if this reflector holds it, or if none does.

        Blocks until the directory answers. If this process has a confirmed claim on `name`, does not ask the directory.

        Raises:
            DirectoryError: the directory did not answer.
            BrokenEntry: it is unknown which reflector holds the name.
        """
        owner = None if self._claims.get(name) is not None else self._asker.ask(self._directory.lookup, str(name))
        return None if owner == self.owner else owner

    def of_others(self, limit: int) -> dict[str, Owner | None]:
        """Returns up to `limit` names that other reflectors hold, as a dict from each name to its reflector.

        The reflector is None if the directory's entry for the name cannot be used. Blocks until the directory answers.

        Raises:
            DirectoryError: the directory did not answer.
        """
        return {name: by for name, by in self._directory.entries(limit).items() if by != self.owner}

    def other_reflectors(self, limit: int) -> list[Owner]:
        """Returns up to `limit` other reflectors that share the directory. Blocks until the directory answers.

        Raises:
            DirectoryError: the directory did not answer.
        """
        leases = self._directory.leases().entries(limit)
        return [Owner(address) for address, by in leases.items() if by is not None and address != self.owner.address]

    def check(self) -> None:
        """Raises DirectoryError if the directory does not answer. Looks up a name that no session can have."""
        try:
            self._directory.lookup(_NO_NAME)
        except BrokenEntry:
            pass  # it has answered

    def finish(self) -> None:
        """Waits until the directory has freed all released names; see Asker.finish."""
        self._asker.finish()

    def renew_forever(self) -> None:
        """Renews all claims three times in each `claim_ttl`. Never returns: run it in a greenlet of its own."""
        while True:
            if self._asker.is_answering():
                self.marks.keep_lease()
                self._undo()
                self._renew_all()
                self._wait_for_renewal()
            if self.away:
                gevent.sleep(self._timeouts.claim_retry_interval)

    def _take(self, name: str, instead_of: Owner | None = None) -> Claim:
        for tries_left in reversed(range(_TRIES)):
            try:
                return self._claim(name)
            except SessionExists as held:
                moves = held.owner == instead_of and self._may_move(held.claim)
                if not (moves or held.owner == self.owner) or not tries_left or not self._has_address:
                    raise
                old = held.claim
            # The claim has our address, but this process does not hold it: either our release was not carried out yet,
            # or it belongs to an earlier process at this address, which has died. Or another reflector holds it, which
            # cannot be connected to.
            try:
                return self._inherit(old)
            except StaleClaim:
                pass  # the name became free meanwhile: claim it again
        raise AssertionError

    def _claim(self, name: str) -> Claim:
        claim: Claim = self._asker.ask(self._directory.claim, name, self.owner, self._timeouts.claim_ttl)
        return claim

    def _may_move(self, claim: Claim) -> bool:
        """Returns True if the claim of a reflector that cannot be reached may be replaced.

        It may be replaced if it is older than `claim_move_age`, or if its owner has certainly ended.
        """
        if claim.made_at <= time.time() - self._timeouts.claim_move_age:
            return True
        return self._lease is not None and bool(self._asker.ask(self._lease.has_died, claim.owner.address))

    def _inherit(self, old: Claim) -> Claim:
        claim: Claim = self._asker.ask(self._directory.inherit, old, self._timeouts.claim_ttl, self.owner)
        return claim

    def _release(self, claim: Claim | None, ends: Sequence[str] = ()) -> None:
        if not self.away and (claim is not None or ends):  # otherwise the claim expires, and `_undo` tells the ends
            self._asker.call_later(self._tell_and_free, claim, ends)

    def _tell_and_free(self, claim: Claim | None, ends: Sequence[str]) -> None:
        for mark in ends:
            self.marks.tell_end(mark)
        if claim is not None and not (ends and self.away):
            self._asker.ask_quietly(self._directory.release, claim)

    def _undo(self) -> None:
        """Frees the names and marks that the directory may have recorded although it did not answer."""
        self.marks.undo()
        self._asker.each(self._undo_name, [(name,) for name in self._owed])

    def _undo_name(self, name: SessionName) -> None:
        self._owed.pop(name, None)
        if name in self._claims:
            return
        try:
            claim = self._take(str(name))
        except (SessionExists, BrokenEntry):
            return
        except DirectoryError:
            owe(self._owed, name, None)
            return
        # If a client has come meanwhile, its claim has replaced this one, and the release does nothing.
        self._asker.ask_quietly(self._directory.release, claim)

    def _wait_for_renewal(self) -> None:
        """Waits until the next renewal is due. Returns earlier if the directory fails or has lost its contents."""
        due = time.monotonic() + self._timeouts.claim_ttl / 3
        interval = math.inf if self._lease is None else self._timeouts.claim_retry_interval
        while (left := due - time.monotonic()) > 0:
            if self._asker.failed.wait(min(left, interval)) or self.marks.keep_lease():
                return

    def _renew_all(self) -> None:
        self._asker.each(self._renew, [(name, claim) for name, claim in self._claims.items() if claim is not None])

    def _renew(self, name: SessionName, claim: Claim) -> None:
        try:
            self._asker.ask(self._directory.renew, claim, self._timeouts.claim_ttl)
        except (StaleClaim, BrokenEntry):
            if self._claims.get(name) is claim:
                self._restore(name, claim)
        except DirectoryError:
            pass  # `renew_forever` tries again

    def _restore(self, name: SessionName, old: Claim) -> None:
        """Claims `name` again after the claim `old` was lost: it has expired, or the directory has lost its contents.

        If another reflector has claimed the name meanwhile, calls `on_lost`.
        """
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


def _ignore(name: SessionName) -> None:
    """Does nothing. Claims.on_lost is this function until another one is set."""
