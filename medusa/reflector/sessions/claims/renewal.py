"""Checks the claims of this process again and again, and restores those that the directory has lost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence

import gevent
import gevent.event
import structlog

from medusa.directory import BrokenEntry, Claim, DirectoryError, SessionExists, StaleClaim
from medusa.reflector.config import Timeouts
from medusa.reflector.session_name import SessionName
from medusa.reflector.sessions.claims.asker import Asker
from medusa.reflector.sessions.claims.marks import Marks
from medusa.reflector.sessions.claims.pace import Round, share
from medusa.reflector.sessions.claims.requests import Requests

log = structlog.get_logger(component="claims")


class Renewal:
    """Checks the claims of one process.

    All claims of a process depend on one lease. So a claim that the directory has is valid as long as the lease lasts.
    Each one is renewed once soon after it was made, and then at a pace that hardly depends on the number of claims. All
    of them are checked at once when the directory was away, when it has lost the lease, and when another reflector says
    that it has taken over a claim. Greenlets of their own renew the leases, however long the checks take.

    Attributes:
        on_lost: a function that is called with each name that another reflector has taken over.
        claims: the claims of this process. None: the claim is not confirmed yet, or is lost.
    """

    def __init__(self, asker: Asker, marks: Marks, requests: Requests, timeouts: Timeouts) -> None:
        self.on_lost: Callable[[SessionName], None] = _ignore
        self.claims: dict[SessionName, Claim | None] = {}
        self._asker = asker
        self._marks = marks
        self._requests = requests
        self._lease = requests.lease
        self._timeouts = timeouts
        self._period = timeouts.claim_ttl / 3
        self._fresh: set[SessionName] = set()  # to be checked once in each period
        self._broken: set[SessionName] = set()  # names of ours whose entries were changed
        self._round = Round()
        self._renewing: set[SessionName] = set()
        self._ends: dict[SessionName, Sequence[str]] = {}  # of those that have ended while they were being renewed
        self._known = ("", "")  # the lease's id and touches when all claims were checked the last time
        self._changed = gevent.event.Event()  # set if all claims have to be checked again

    def add(self, name: SessionName, claim: Claim) -> None:
        """Checks `claim` on `name` from now on."""
        self.claims[name] = claim
        self._fresh.add(name)

    def pop(self, name: SessionName, ends: Sequence[str] = ()) -> Claim | None:
        """Forgets `name`. Returns the claim that the caller has to free; None if there is none.

        If the directory is just replacing this claim, its successor is freed later, after it knows the marks `ends`.
        """
        self._broken.discard(name)
        self._fresh.discard(name)
        if ends and name in self._renewing:
            self._ends[name] = ends
        return self.claims.pop(name, None)

    def run_forever(self) -> None:
        """Checks the claims. Never returns: run it in a greenlet of its own."""
        keeps = (self._keep_lease, self._keep_address) if self._asker.directory.waits else ()
        keepers = [gevent.spawn(self._repeat, keep) for keep in keeps]
        try:
            while True:
                if self._asker.is_answering():
                    self._keep_leases()
                    self._requests.undo(self.claims)
                    self._check_all()
                    self._wait_for_trouble()
                if self._asker.away:
                    gevent.sleep(self._timeouts.claim_retry_interval)
        finally:
            gevent.killall(keepers)

    def check_soon(self, name: SessionName) -> None:
        """Checks the claim on `name`, if there is one, in the next period."""
        if name in self.claims:
            self._fresh.add(name)

    def _wait_for_trouble(self) -> None:
        """Checks some claims in each period. Returns when all of them have to be checked, and if the directory fails.

        A directory in the memory of this process has no lease: there, all are checked once in each period.
        """
        if not self._asker.directory.waits:
            self._asker.failed.wait(self._period)
            return
        longest = self._timeouts.leased_claim_ttl / 3
        while not gevent.wait([self._asker.failed, self._changed], self._period, count=1):
            if not self._asker.can_write():
                return
            some = self._round.next(self.claims, share(len(self.claims), self._period, longest))
            self._check({*self._fresh, *some})

    def _repeat(self, keep: Callable[[], None]) -> None:
        """Calls `keep` again and again, except while the directory is away. Never returns."""
        while True:
            gevent.sleep(min(self._timeouts.claim_retry_interval, self._period))
            try:
                if not self._asker.away:
                    keep()
            except Exception:  # without the lease, other reflectors would take the names of living sessions
                log.exception("internal error")

    def _keep_leases(self) -> None:
        self._keep_address()
        self._keep_lease()

    def _keep_address(self) -> None:
        """Renews the lease on the address of this reflector. Notes it if the directory has lost its contents."""
        if self._marks.keep_lease():
            self._changed.set()

    def _keep_lease(self) -> None:
        """Renews the lease that the claims depend on. Notes it if the lease is another one now, or was touched."""
        try:
            self._lease.keep()
        except DirectoryError:
            return  # `failed` is set
        if (self._lease.id, self._lease.touches) != self._known:
            self._changed.set()

    def _check_all(self) -> None:
        self._known = (self._lease.id, self._lease.touches)
        self._changed.clear()
        self._check(self._all())

    def _all(self) -> Iterator[SessionName]:
        """Yields all names. Once in each period also those that are fresh by then: their claims expire soon."""
        due = time.monotonic() + self._period
        for name in dict.fromkeys((*self._fresh, *self.claims)):
            yield name
            if time.monotonic() >= due:
                yield from list(self._fresh)
                due = time.monotonic() + self._period

    def _check(self, names: Iterable[SessionName]) -> None:
        held = ((name, claim) for name in names if (claim := self.claims.get(name)) is not None)
        self._asker.each(self._renew, held)

    def _renew(self, name: SessionName, claim: Claim) -> None:
        if name in self._renewing:
            return
        self._renewing.add(name)
        try:
            new = self._renewed(name, claim)
        finally:
            self._renewing.discard(name)
            ends = self._ends.pop(name, ())
        if new is None:
            return
        if self.claims.get(name) is claim:
            self.claims[name] = new
            self._broken.discard(name)
            if new is claim:
                self._fresh.discard(name)
            else:
                self._fresh.add(name)  # it is valid for a short time
        elif name in self.claims:
            self._fresh.add(name)  # it was claimed anew meanwhile: see which claim holds
        elif new is not claim:
            self._requests.free(new, ends)

    def _renewed(self, name: SessionName, claim: Claim) -> Claim | None:
        """Renews `claim`. Returns the claim that holds the name; None if that is unknown, or if the name is lost."""
        try:
            return self._requests.renew(claim)
        except (StaleClaim, BrokenEntry):
            return self._restored(name, claim) if self.claims.get(name) is claim else None
        except DirectoryError:
            return None  # `run_forever` tries again

    def _restored(self, name: SessionName, old: Claim) -> Claim | None:
        """Claims `name` again after the claim `old` was lost: it has expired, or the directory has lost its contents.

        If another reflector has claimed the name meanwhile, calls `on_lost`.
        """
        try:
            claim = self._requests.take(str(name))
        except BrokenEntry as error:  # the session goes on; `name` is claimed again when that entry is gone
            if self.claims.get(name) is old:
                self._fresh.add(name)
                if name not in self._broken:
                    self._broken.add(name)
                    log.warning("entry broken", session=name.session_id, login=name.login, reason=str(error))
            return None
        except DirectoryError:
            return None
        except SessionExists as held:
            if self.claims.get(name) is old:
                self.claims[name] = None  # there is no claim left to renew or to release
                self._fresh.discard(name)
                log.warning("claim lost", session=name.session_id, login=name.login, to=held.owner.address)
                self.on_lost(name)
            return None
        if self.claims.get(name) is old:
            log.info("claim restored", session=name.session_id, login=name.login)
        return claim


def _ignore(name: SessionName) -> None:
    """Does nothing. Renewal.on_lost is this function until another one is set."""
