"""The lease in the directory that all claims of one process depend on.

It takes the place of one renewal for each session: a reflector that has ended renews its lease no more, and then all
its names are free. It is not the lease on the reflector's address, of which medusa.reflector.cluster.lease tells.
"""

from __future__ import annotations

import time

import gevent.lock
import structlog

from medusa.directory import BrokenEntry, DirectoryError
from medusa.directory.tokens import new_lease
from medusa.reflector.config import Timeouts
from medusa.reflector.sessions.claims.asker import Asker

log = structlog.get_logger(component="claims")

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""A clock that goes on while the machine sleeps, if the system has one."""


def _now() -> float:
    return time.clock_gettime(_CLOCK)


class ClaimLease:
    """The lease of one process. It begins when `ensure` or `keep` is called for the first time.

    Call `keep` at least three times in `claim_ttl` seconds. A directory in the memory of this process needs no lease:
    then `id` stays empty, and no method does anything.

    Attributes:
        id: the id of the lease, which new claims depend on; "" if there is none. If the directory has lost the lease,
            a new one with another id begins: then the claims that depend on the old id have to be made again.
        touches: a text that changes when another reflector says that it has taken over one of the claims.
    """

    def __init__(self, asker: Asker, timeouts: Timeouts) -> None:
        self.id = ""
        self.touches = ""
        self._asker = asker
        self._directory = asker.directory
        self._ttl = timeouts.claim_ttl
        self._clock = _now
        self._sure_until = 0.0  # by this clock: until then the directory has the lease, unless it loses its contents
        self._busy = gevent.lock.BoundedSemaphore()
        self._over = False

    @property
    def is_sure(self) -> bool:
        """False if the lease may have expired, because this process or the directory was suspended.

        The directory's clock decides when the lease expires. This property counts from the time before the directory
        was asked, so it is False early enough.
        """
        return not self._directory.waits or self._clock() < self._sure_until

    def ensure(self) -> None:
        """Begins a lease if there is none, and checks it if it may have expired. Raises DirectoryError.

        If several greenlets call this and the directory does not answer, all but the first one fail at once.
        """
        if self.is_sure:
            return
        with self._busy:
            if not self.is_sure:
                if self._asker.away:
                    raise DirectoryError("the lease has expired, and the directory is away")
                self._keep()

    def keep(self) -> None:
        """Renews the lease; begins a new one if the directory does not have it any more. Raises DirectoryError."""
        if self._directory.waits:
            with self._busy:
                self._keep()

    def end(self) -> None:
        """Ends the lease: whatever this process has claimed is free. Blocks until the directory answers.

        If the directory is away, the lease expires by itself.
        """
        with self._busy:
            self._over, self._sure_until = True, 0.0
            lease, self.id = self.id, ""
        if lease and not self._asker.away:
            self._asker.ask_quietly(self._directory.revoke, lease)

    def _keep(self) -> None:
        if self._over:
            return
        asked = self._clock()
        touches = self._asker.ask(self._renew) if self.id else None
        if touches is None:
            self._begin()
            touches = self._asker.ask(self._renew)
        self.touches = touches or ""
        self._sure_until = asked + self._ttl

    def _renew(self) -> str | None:
        try:
            return self._directory.keep(self.id, self._ttl)
        except BrokenEntry:
            return None  # another program has written to the key: a lease under another key takes its place

    def _begin(self) -> None:
        new = new_lease()
        while not self._asker.ask(self._directory.grant, new, self._ttl):
            new = new_lease()
        if self.id:
            log.warning("lease lost", advice="the directory is told again which sessions live here")
        self.id = new
