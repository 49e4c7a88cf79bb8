"""Claims the names of this process's sessions in the directory, keeps them claimed, and releases them.

The directory is the store that all reflectors share. If it does not answer, live sessions go on, but none can begin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import gevent
import gevent.pool

from medusa.directory import BrokenEntry, Claim, Directory, DirectoryError, Owner, SessionExists
from medusa.reflector.config import Timeouts
from medusa.reflector.session_name import SessionName
from medusa.reflector.sessions.claims.asker import CONCURRENCY, Asker
from medusa.reflector.sessions.claims.marks import Lease, Marks
from medusa.reflector.sessions.claims.renewal import Renewal
from medusa.reflector.sessions.claims.requests import Requests

_NO_NAME = "."
"""A name that no session can have."""


class Claims:
    """Claims the names of one process's sessions in the directory. A claimed name cannot be used by another reflector.

    Most methods ask the directory, and block their greenlet until it answers.

    Attributes:
        marks: records used signatures and ended sessions in the directory.
        owner: this reflector.
    """

    def __init__(self, directory: Directory, owner: Owner, timeouts: Timeouts, lease: Lease | None = None) -> None:
        self._asker = Asker(directory, timeouts)
        self.marks = Marks(self._asker, timeouts, lease)
        self._requests = Requests(self._asker, self.marks, owner, timeouts, lease)
        self._renewal = Renewal(self._asker, self.marks, self._requests, timeouts)
        self._claims = self._renewal.claims
        self._address = lease
        self._timeouts = timeouts
        self._directory = directory
        self.owner = owner

    @property
    def away(self) -> bool:
        """True if the directory did not answer the last time."""
        return self._asker.away

    @property
    def displaced(self) -> str:
        """The reason why this reflector must not use its address any more; "" if it may use it."""
        return self._address.displaced if self._address is not None else ""

    @property
    def on_lost(self) -> Callable[[SessionName], None]:
        """A function that is called with each name that another reflector has taken over."""
        return self._renewal.on_lost

    @on_lost.setter
    def on_lost(self, function: Callable[[SessionName], None]) -> None:
        self._renewal.on_lost = function

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
            self._renewal.add(name, self._requests.take(str(name), instead_of))
        except BaseException as error:
            del self._claims[name]
            if isinstance(error, DirectoryError) and not isinstance(error, BrokenEntry):
                self._requests.owe(name)
            raise

    def release(self, name: SessionName, ends: Sequence[str] = ()) -> None:
        """Releases `name` if it is claimed. Does not block: if the directory is slow, a new greenlet waits for it.

        Args:
            ends: marks that name the session, if it has ended for good; see Marks.add. The directory records them
                before it frees the name. Otherwise a peer with a ticket could open the session again as soon as the
                name is free.
        """
        self._requests.free(self._renewal.pop(name, ends), ends)

    def release_now(self, name: SessionName) -> None:
        """Releases `name`, and blocks until the directory answers. A refused client can then try another reflector."""
        claim = self._renewal.pop(name)
        if claim is not None:
            self._requests.free_now(claim)

    def release_each(self, names: Iterable[SessionName], then: Callable[[SessionName], None]) -> None:
        """Releases each of `names`. Calls `then` with each name as soon as it is free. Returns when all are released.

        If the directory does not answer, also calls `then`: the name is freed when it answers again.
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

        Blocks until the directory answers. If this process has a claim on `name`, asks the directory only if the lease
        of this process may have expired, and another reflector may have claimed the name since. Otherwise checks the
        claim soon, because a reflector of an earlier version may have taken it over.

        Raises:
            DirectoryError: the directory did not answer.
            BrokenEntry: it is unknown which reflector holds the name.
        """
        claim = self._claims.get(name)
        if claim is not None and (self.away or self._requests.is_sure(claim)):
            self._renewal.check_soon(name)
            return None
        owner: Owner | None = self._asker.ask(self._directory.lookup, str(name))
        return None if owner == self.owner else owner

    def of_others(self, cursor: str, begin: str = "") -> tuple[dict[str, Owner | None], str]:
        """Returns some names that other reflectors hold, as a dict from each name to its reflector, and where to go on.

        The reflector is None if the directory's entry for the name cannot be used. Blocks until the directory answers.

        Args:
            cursor: where to begin; see Directory.scan.
            begin: only the names that begin with this text.

        Raises:
            DirectoryError: the directory did not answer.
        """
        found, cursor = self._directory.scan(cursor, begin)
        return {name: by for name, by in found.items() if by != self.owner}, cursor

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

    def end(self) -> None:
        """Ends the lease of this process: all names that it has claimed are free. Call this before the process ends.

        Waits for the directory, at most `claim_release_timeout` seconds.
        """
        gevent.with_timeout(self._timeouts.claim_release_timeout, self._requests.lease.end, timeout_value=None)

    def renew_forever(self) -> None:
        """Keeps the names claimed; see Renewal. Never returns: run it in a greenlet of its own."""
        self._renewal.run_forever()
