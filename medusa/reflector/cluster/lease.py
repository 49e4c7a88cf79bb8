"""The lease of a reflector on its own address, in the directory. It makes sure that no two reflectors use one address.

Without the lease, two reflectors could have the same address. Each would then believe that the other's
sessions are its own, from before a restart, and would take over their names.
All workers of one reflector share one lease. It is renewed like the claims on sessions. It is released when the
reflector stops.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
from pathlib import Path

import structlog

from medusa.directory import BrokenEntry, Claim, Directory, Owner, SessionExists, StaleClaim
from medusa.protocol.printable import printable
from medusa.protocol.record import fields_of, record

log = structlog.get_logger(component="lease")

_TRIES = 3

_ADVICE = "delete its key; until then another reflector with the same --advertise is not refused"


class AddressTaken(Exception):
    """Raised if another reflector has this reflector's address. The text says which one, and can be logged."""


@record
class Holder:
    """The process that holds a lease: a reflector, or the supervisor of its workers.

    Attributes:
        run: a random text, different for each start of the process.
        host: the name of the host.
        pid: the process id.
        boot, space: the ids of the host's last boot and of the process's pid namespace; "" if unknown.
        started: when the process started, in the unit of /proc/PID/stat; "" if unknown.
    """

    run: str
    host: str
    pid: int
    boot: str
    space: str
    started: str

    @classmethod
    def of(cls, pid: int, run: str) -> Holder:
        """Returns a Holder that describes the process `pid` of this host, with the random text `run`."""
        return cls(run, socket.gethostname(), pid, _boot(), _space(), _start_of(pid))

    @classmethod
    def of_this_process(cls) -> Holder:
        """Returns a Holder that describes this process. Each call makes a new random `run`."""
        return cls.of(os.getpid(), secrets.token_hex(8))

    @classmethod
    def read(cls, text: str) -> Holder | None:
        """Parses a text that `Holder.text` has made. Returns the holder; None if the text has another form."""
        try:
            holder = cls(**json.loads(text))
        except (ValueError, TypeError, RecursionError):
            return None
        return holder if str(holder.pid).isdecimal() and holder.pid == int(holder.pid) > 0 else None

    def text(self) -> str:
        """Returns all fields as one line, to be stored."""
        return json.dumps(fields_of(self))

    def has_died(self) -> bool:
        """Returns True if the process has certainly ended: it ran on this host, and does not exist any more."""
        if not (self.boot and self.space) or (self.boot, self.space) != (_boot(), _space()):
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except OSError:
            pass  # the process exists, and belongs to another user
        started = _start_of(self.pid)
        return "" not in (started, self.started) and started != self.started

    def __str__(self) -> str:
        return "process %d on host %s" % (self.pid, printable(str(self.host)))


class AddressLease:
    """The lease of this reflector on its address. As long as it lasts, no other reflector may use the address.

    Args:
        directory: the directory of addresses; see Directory.leases.
        address: the address that this reflector advertises.
        holder: this reflector.
        ttl: seconds after which the lease expires. Call `keep` before that time.

    Attributes:
        displaced: if another reflector has taken over the address, a text that says which one; otherwise "".
    """

    def __init__(self, directory: Directory, address: str, holder: Holder, ttl: float) -> None:
        self.displaced = ""
        self._directory = directory
        self._address = address
        self._holder = Owner(holder.text())
        self._ttl = ttl
        self._claim: Claim | None = None
        self._broken = False  # True: the directory's entry could not be used the last time
        self._over = False

    @property
    def held(self) -> bool:
        """True if this reflector has the lease, as far as it knows."""
        return self._claim is not None

    def take(self) -> None:
        """Takes the lease if it is free, or if its holder has certainly died. Blocks until the directory answers.

        If the directory's entry for the address cannot be used, logs this and returns without the lease.

        Raises:
            AddressTaken: another reflector has the lease. It may have been killed: its lease then lasts for up to `ttl`
                seconds.
            DirectoryError: the directory did not answer. Call `keep` later.
        """
        try:
            self._claim = self._take()
            self._broken = False
        except BrokenEntry as error:
            if not self._broken:
                log.warning("entry broken", address=self._address, reason=str(error), advice=_ADVICE)
            self._broken = True

    def keep(self) -> bool:
        """Renews the lease, or takes it if this reflector does not have it. Blocks until the directory answers.

        Returns True if this reflector did not have the lease, and this call has taken it. Raises DirectoryError.
        """
        held, renewed = self._claim, False
        if self._over:
            return False
        if held is not None:
            try:
                self._directory.renew(held, self._ttl)
                renewed = True
            except (StaleClaim, BrokenEntry):
                self._claim = None
        if not renewed and not self._over:
            self._take_again()
        if self._over:  # `release` was called while the directory was asked
            self.release()
        return not renewed and self._claim is not None

    def has_died(self, address: str) -> bool:
        """Returns True if the reflector at another address has certainly ended.

        It has ended if there is no lease on its address, or if the holder of the lease has died. Blocks until the
        directory answers. Raises DirectoryError.
        """
        owner = self._directory.lookup(address)
        holder = Holder.read(owner.address) if owner is not None else None
        return owner is None or (holder is not None and holder.has_died())

    def release(self) -> None:
        """Releases the lease. Blocks until the directory answers. Raises DirectoryError."""
        self._over = True
        claim, self._claim = self._claim, None
        if claim is not None:
            self._directory.release(claim)

    def _take_again(self) -> None:
        before = self.displaced
        try:
            self.take()
            self.displaced = ""
        except AddressTaken as error:
            self.displaced = str(error)
        if self.displaced and not before:
            log.error("address lost", address=self._address, reason=self.displaced, advice="new sessions get 503")
        elif before and not self.displaced:
            log.info("address regained", address=self._address)

    def _take(self) -> Claim:
        for _ in range(_TRIES):
            try:
                return self._directory.claim(self._address, self._holder, self._ttl)
            except SessionExists as held:
                if held.owner == self._holder:  # another worker of this reflector has taken it
                    return held.claim
                holder = Holder.read(held.owner.address)
                if holder is None or not holder.has_died():
                    raise AddressTaken(self._words(holder)) from None
                log.info("address taken over", address=self._address, of=str(holder))
                self._directory.release(held.claim)
        raise AddressTaken(self._words(None))

    def _words(self, holder: Holder | None) -> str:
        by = "another reflector" if holder is None else str(holder)
        words = "%s has the address %s in this directory; give each reflector its own. If that one has been killed, "
        return (words + "its address is free within %.0f s") % (by, self._address, self._ttl)


def _boot() -> str:
    return _read("/proc/sys/kernel/random/boot_id").strip()


def _space() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def _start_of(pid: int) -> str:
    """Returns the time when the process `pid` started, as a text. It tells two processes with the same id apart.

    Returns "" if the time is unknown, and "ended" if the process is a zombie.
    """
    # pid (name) state ppid ... num_threads itrealvalue starttime; the name may contain any characters
    fields = _read("/proc/%d/stat" % pid).rpartition(")")[2].split()
    if len(fields) < 20:
        return ""
    # A process whose first thread has ended has the state of a zombie while other threads still run.
    return "ended" if fields[0] in ("Z", "X") and int(fields[17]) <= 1 else fields[19]


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
