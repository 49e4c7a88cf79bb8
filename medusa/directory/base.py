"""The interface of the directory. For each session id, the directory knows the one reflector that owns the session."""

from __future__ import annotations

import abc
import enum
from itertools import islice

from medusa.directory.tokens import lease_of, made_at
from medusa.protocol.record import record

TIMEOUT = 2.0
"""Seconds for a store to accept a connection, and as many again to answer a request."""

CONNECTIONS = 16
"""The maximum number of connections from one process to a store."""

TTL = 60.0
"""Seconds after which a claim or a lease expires unless it is renewed. So the ids of a dead reflector become free."""


@record
class Owner:
    """A reflector that owns sessions. `address` is the URL of its root, at which other reflectors reach it."""

    address: str


@record
class Claim:
    """Says that the reflector `owner` holds `session_id`: no other reflector may have a session with this id.

    Each claim has a different random `token`. So two claims of the same owner on the same id are not equal. The token
    also contains the time at which the claim was made, and the lease that the claim depends on; see `made_at` and
    `lease`.
    """

    session_id: str
    owner: Owner
    token: str

    @property
    def made_at(self) -> int:
        """The time at which the claim was made, in seconds since 1970, by the clock of the host that has made it.

        The number is meaningless if an older version of Medusa has made the claim.
        """
        return made_at(self.token)

    @property
    def lease(self) -> str:
        """The id of the lease that the claim depends on; "" if it depends on none. See Directory.grant."""
        return lease_of(self.token)


class DirectoryError(Exception):
    """Raised if the store does not answer, or answers with an error. So it is unknown which session ids are claimed.

    The text of the exception contains no password, so it can be logged.
    """


class SessionExists(Exception):
    """Raised if the session id is already claimed. `claim` is the claim that holds the id."""

    def __init__(self, claim: Claim) -> None:
        super().__init__("the session exists")
        self.claim = claim

    @property
    def owner(self) -> Owner:
        """The reflector that holds the session id."""
        return self.claim.owner


class StaleClaim(Exception):
    """Raised if a claim no longer holds its session id: it has expired, or was released or replaced."""


class BrokenEntry(DirectoryError):
    """Raised if one entry of the store cannot be used. The store works, and its other entries can be used.

    No reflector that shares this store has written the entry, or another program has changed it. The entry belongs to a
    session id or to a mark (see Mark). It is unknown whether this id is claimed, or whether this mark is used.
    """


class Mark(enum.Enum):
    """The state of a mark, as `Directory.reserve` returns it.

    A mark is the name of something that may be used only once. The reflectors use a mark for each signature of a
    request.
    """

    FREE = enum.auto()  # the mark was unused, and is now reserved for the caller
    RESERVED = enum.auto()  # another caller has reserved the mark, and has perhaps confirmed this reservation
    USED = enum.auto()


class Directory(abc.ABC):
    """A store of claims on session ids. Every subclass passes tests/conformance/check_directory.py.

    A claim may depend on a lease. It then holds its session id only as long as the lease lasts, even if its own time
    is longer. So one lease keeps all claims of a process.

    A method may block for some seconds if `waits` is True. Every method except `close` may raise DirectoryError.

    Attributes:
        waits: False if no method ever blocks, because the store is in the memory of this process.
    """

    waits = True

    @abc.abstractmethod
    def claim(self, session_id: str, owner: Owner, ttl: float = TTL, lease: str = "") -> Claim:
        """Claims the session id for `ttl` seconds, atomically. Returns the claim. Call `renew` before it expires.

        Args:
            ttl: seconds after which the claim expires.
            lease: the id of the lease that the claim depends on; "" for none.

        Raises:
            SessionExists: another claim holds the id.
        """

    @abc.abstractmethod
    def inherit(self, old: Claim, ttl: float = TTL, owner: Owner | None = None, lease: str = "") -> Claim:
        """Replaces the claim `old` with a new claim of `owner`, atomically. Returns the new claim.

        Call this only if no other process uses `old`, or if no peer can connect to the reflector that made it. The
        lease of `old` is not looked at.

        Args:
            ttl: seconds after which the new claim expires.
            owner: the owner of the new claim. None: the owner of `old`.
            lease: the id of the lease that the new claim depends on; "" for none.

        Raises:
            StaleClaim: `old` no longer holds its session id, because it has expired, or was released or replaced.
        """

    @abc.abstractmethod
    def renew(self, claim: Claim, ttl: float = TTL) -> None:
        """Makes the claim expire `ttl` seconds from now. The lease of the claim is not looked at.

        Raises:
            StaleClaim: the claim no longer holds its session id, because it has expired, or was released or replaced.
        """

    @abc.abstractmethod
    def release(self, claim: Claim) -> None:
        """Frees the session id that `claim` holds. Does nothing if `claim` no longer holds the id."""

    @abc.abstractmethod
    def lookup(self, session_id: str) -> Owner | None:
        """Returns the reflector that holds the session id, or None if the id is free."""

    @abc.abstractmethod
    def scan(self, cursor: str = "", begin: str = "") -> tuple[dict[str, Owner | None], str]:
        """Returns a part of the claims, and where the next part begins.

        An id that is claimed or released between two parts may be missing, and an id may be in two parts.

        Args:
            cursor: "" for the first part, then the text that the last call has returned. A text that no call has
                returned gives some part, or the end.
            begin: only the claims on ids that begin with this text. The store looks at all the same.

        Returns a dict from claimed session ids to their owners, perhaps empty, and a text: "" at the end. A broken
        entry has the owner None: this method does not raise BrokenEntry.
        """

    def entries(self, limit: int) -> dict[str, Owner | None]:
        """Returns a dict from claimed session ids, up to `limit`, to their owners; see `scan`."""
        found, cursor = self.scan()
        while cursor and len(found) < limit:
            more, cursor = self.scan(cursor)
            found |= more
        return dict(islice(found.items(), limit))

    @abc.abstractmethod
    def grant(self, lease: str, ttl: float = TTL) -> bool:
        """Begins the lease with the id `lease`, for `ttl` seconds. Call `keep` before it expires.

        A lease that has ended does not begin again, because each one gets a new id (see tokens.new_lease). So the ids
        of all claims that depend on it are free, for good.

        Returns False if there is such a lease already. Then call this with another id.
        """

    @abc.abstractmethod
    def keep(self, lease: str, ttl: float = TTL) -> str | None:
        """Makes the lease expire `ttl` seconds from now. Returns None if there is no such lease any more.

        Otherwise returns a text that changes with each call of `touch` for this lease.
        """

    @abc.abstractmethod
    def touch(self, lease: str) -> None:
        """Tells the process that keeps the lease, by the answer of `keep`, that it may have lost one of its claims."""

    @abc.abstractmethod
    def revoke(self, lease: str) -> None:
        """Ends the lease. The ids of all claims that depend on it are free from now on."""

    def leases(self) -> Directory:
        """Returns a second directory in the same store, for claims on the addresses of reflectors.

        Pass a reflector's address to its methods in place of a session id.
        """
        return self

    def spend(self, mark: str, ttl: float) -> bool:
        """Records for `ttl` seconds, atomically, that `mark` (see Mark) is used. Returns True if it was unused before.

        A store for a single process records no marks, because that process remembers them itself. With such a store,
        this method always returns True, and `reserve`, `confirm`, `settle` and `give_back` have no effect.
        """
        return True

    def is_spent(self, mark: str) -> bool:
        """Returns True if `mark` is used. Always returns False if the store records no marks; see `spend`."""
        return False

    def reserve(self, mark: str, token: str, ttl: float) -> Mark:
        """Reserves `mark` for `ttl` seconds, atomically, if it is neither used nor reserved. Returns its state before.

        If the state was FREE, this call has reserved the mark. Then call `confirm` to use the mark, or `give_back` to
        leave it unused.

        Args:
            mark: the name of something that may be used only once; see Mark.
            token: a new random text, by which `confirm` and `give_back` find this reservation.
        """
        return Mark.FREE

    def confirm(self, mark: str, token: str, use: str, ttl: float) -> bool:
        """Extends a reservation of `mark`, atomically, to `ttl` seconds from now. Returns True if this succeeds.

        If this method returns True, call `settle` next. If it raises an error, call `give_back`: the reservation may or
        may not have been extended. If it returns False, the reservation does not exist any more: it has expired, was
        given back, or was confirmed before.

        Args:
            mark: the name of something that may be used only once; see Mark.
            token: the text with which `reserve` was called.
            use: a new random text, which replaces `token`: `settle` and `give_back` find the reservation by it.
        """
        return True

    def settle(self, mark: str, use: str) -> None:  # noqa: B027 - see above
        """Records that `mark` is used, if `confirm` with the same text `use` has succeeded. Otherwise does nothing.

        Before this call, `reserve` returns RESERVED to other callers. After this call, it returns USED.

        `mark`: the name of something that may be used only once; see Mark.
        """

    def give_back(self, mark: str, *tokens: str) -> None:  # noqa: B027 - a store that remembers no marks has none
        """Makes `mark` unused again, if it was reserved or confirmed with one of `tokens`. Otherwise does nothing.

        Args:
            mark: the name of something that may be used only once; see Mark.
            tokens: the texts that the caller has passed to `reserve` as `token`, or to `confirm` as `use`.
        """

    def close(self) -> None:  # noqa: B027 - not every store has connections
        """Closes the connections to the store.

        First waits some seconds for the answers to requests that other threads have sent. A method that is called
        after this one connects again.
        """
