"""Asks the directory to make, renew and free single claims of this process."""

from __future__ import annotations

import time
from collections.abc import Container, Sequence

from medusa.directory import BrokenEntry, Claim, DirectoryError, Owner, SessionExists, StaleClaim
from medusa.reflector.config import Timeouts
from medusa.reflector.session_name import SessionName
from medusa.reflector.sessions.claims.asker import Asker, owe
from medusa.reflector.sessions.claims.claim_lease import ClaimLease
from medusa.reflector.sessions.claims.marks import Lease, Marks

MAX_UNRELEASED = 65536
"""At most so many claims are kept to be released after the directory answers again."""

_TRIES = 3


class Requests:
    """Makes, renews and frees claims of one process. Remembers what has to be freed when the directory answers again.

    A new claim is valid for `claim_ttl` seconds. Only `renew` makes it last longer. So a claim that the directory has
    made without an answer is gone soon, even if it is forgotten here.

    Args:
        owner: this reflector.
        address: the lease on the address of this reflector; None if the directory is not shared.

    Attributes:
        lease: the lease that the claims of this process depend on.
    """

    def __init__(self, asker: Asker, marks: Marks, owner: Owner, timeouts: Timeouts, address: Lease | None) -> None:
        self.lease = ClaimLease(asker, timeouts)
        self._asker = asker
        self._directory = asker.directory
        self._marks = marks
        self._owner = owner
        self._timeouts = timeouts
        self._address = address
        # The names to free when the directory is back, because it may have claimed them although it did not answer:
        self._owed: dict[SessionName, None] = {}  # a set in order of age
        self._unreleased: dict[Claim, None] = {}  # the claims to release then
        self._untouched: dict[str, None] = {}  # the leases to touch then

    @property
    def has_address(self) -> bool:
        """True if no other live reflector can be using this reflector's address.

        Then all claims with this address belong to this reflector, or to an earlier process of it.
        """
        return self._address is None or self._address.held

    def is_sure(self, claim: Claim) -> bool:
        """Returns False if another reflector may have claimed the name of `claim`, because a lease has expired."""
        return claim.lease == self.lease.id and self.lease.is_sure

    def take(self, name: str, instead_of: Owner | None = None) -> Claim:
        """Claims `name`, or replaces a claim with the address of this reflector. Blocks until the directory answers.

        `instead_of`: another reflector, whose claim may be replaced; see Claims.take.

        Raises SessionExists, DirectoryError, BrokenEntry.
        """
        for tries_left in reversed(range(_TRIES)):
            try:
                return self._claim(name)
            except SessionExists as held:
                moves = held.owner == instead_of and self._may_move(held.claim)
                if not (moves or held.owner == self._owner) or not tries_left or not self.has_address:
                    raise
                old = held.claim
            # The claim has our address, but this process does not hold it: either our release was not carried out yet,
            # or it belongs to an earlier process at this address, which has died. Or another reflector holds it, which
            # cannot be connected to.
            try:
                return self._inherit(old) if old.owner == self._owner else self._take_over(old)
            except StaleClaim:
                continue  # the name became free meanwhile: claim it again
        raise AssertionError

    def renew(self, claim: Claim) -> Claim:
        """Renews `claim`, or replaces it if it depends on a lease that this process has not any more.

        Returns the claim that holds the name from now on. Blocks until the directory answers. Raises StaleClaim if
        `claim` does not hold its name, DirectoryError, BrokenEntry.
        """
        if claim.lease != self.lease.id:
            return self._inherit(claim)
        ttl = self._timeouts.leased_claim_ttl if claim.lease else self._timeouts.claim_ttl
        self._asker.ask(self._directory.renew, claim, ttl)
        return claim

    def owe(self, name: SessionName) -> None:
        """Remembers that the directory may have claimed `name` although it did not answer. `undo` will free it."""
        owe(self._owed, name, None)

    def free(self, claim: Claim | None, ends: Sequence[str] = ()) -> None:
        """Releases `claim`, after the directory knows the marks `ends`. Does not block. See Claims.release."""
        if self._asker.away:  # `undo` does both
            self._release_later(claim)
        elif claim is not None or ends:
            self._asker.call_later(self._tell_and_free, claim, ends)

    def free_now(self, claim: Claim) -> None:
        """Releases `claim`. Blocks until the directory answers. If it does not answer, `undo` releases the claim."""
        try:
            self._asker.ask(self._directory.release, claim)
        except BrokenEntry:
            pass  # nothing of ours is there
        except DirectoryError:
            self._release_later(claim)

    def undo(self, held: Container[SessionName]) -> None:
        """Frees what could not be freed while the directory did not answer, and touches leases.

        `held`: the names that are in use again.
        """
        self._marks.undo()
        self._asker.each(self._undo_touch, [(lease,) for lease in self._untouched])
        self._asker.each(self._undo_release, [(claim,) for claim in self._unreleased])
        self._asker.each(self._undo_claim, [(name, held) for name in self._owed])

    def _claim(self, name: str) -> Claim:
        self.lease.ensure()
        ttl = self._timeouts.claim_ttl
        claim: Claim = self._asker.ask(self._directory.claim, name, self._owner, ttl, self.lease.id)
        return claim

    def _inherit(self, old: Claim) -> Claim:
        ttl = self._timeouts.claim_ttl
        claim: Claim = self._asker.ask(self._directory.inherit, old, ttl, self._owner, self.lease.id)
        return claim

    def _take_over(self, old: Claim) -> Claim:
        """Replaces the claim of another reflector, and lets that one know. Raises what `_inherit` raises.

        It is told before, because this process may end at any time, and after, because only then it finds the claim
        replaced. A claim may have been replaced although the directory did not answer.
        """
        self._touch(old.lease)
        try:
            return self._inherit(old)
        finally:
            self._touch(old.lease)

    def _touch(self, lease: str) -> None:
        """Touches `lease`, if it is not "". If the directory does not answer, `undo` touches it."""
        if not lease:
            return
        try:
            if not self._asker.away:
                self._asker.ask(self._directory.touch, lease)
                return
        except BrokenEntry:
            return  # there is no such lease any more
        except DirectoryError:
            pass  # `ask` has logged it
        owe(self._untouched, lease, None)

    def _undo_touch(self, lease: str) -> None:
        self._untouched.pop(lease, None)
        self._touch(lease)

    def _may_move(self, claim: Claim) -> bool:
        """Returns True if the claim of a reflector that cannot be reached may be replaced.

        It may be replaced if it is older than `claim_move_age`, or if its owner has certainly ended.
        """
        if claim.made_at <= time.time() - self._timeouts.claim_move_age:
            return True
        return self._address is not None and bool(self._asker.ask(self._address.has_died, claim.owner.address))

    def _tell_and_free(self, claim: Claim | None, ends: Sequence[str]) -> None:
        for mark in ends:
            self._marks.tell_end(mark)
        if claim is None:
            return
        if ends and self._asker.away:
            self._release_later(claim)
        else:
            self.free_now(claim)

    def _release_later(self, claim: Claim | None) -> None:
        if claim is not None:
            owe(self._unreleased, claim, None, MAX_UNRELEASED)

    def _undo_release(self, claim: Claim) -> None:
        self._unreleased.pop(claim, None)
        self.free_now(claim)

    def _undo_claim(self, name: SessionName, held: Container[SessionName]) -> None:
        self._owed.pop(name, None)
        if name in held:
            return
        try:
            claim = self.take(str(name))
        except (SessionExists, BrokenEntry):
            return
        except DirectoryError:
            self.owe(name)
            return
        # If a client has come meanwhile, its claim has replaced this one, and the release does nothing.
        self.free_now(claim)
