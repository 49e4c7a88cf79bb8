"""Makes sure that each signature lets in at most one peer, even if several reflectors get it.

The reflectors share the directory (a store), which records the reserved and the used signatures.

A signature is used in three steps:

1. Reserve it, for some seconds.
2. Confirm the reservation, after all other checks have passed. From then on it lasts longer than the signature is
   valid.
3. Settle the signature: record it as used, right before the peer is let in.

Before step 3, another request with the same signature gets the answer to try again. After step 3, such a request gets
the answer that the signature was used before. If the peer is not let in, the signature is given back.

The directory may carry out a step late, after another request has reserved the same signature. Such a step must not
change the reservation of the other request. So each step names a random token of its own request. Three rules hold:

- A reservation that is neither confirmed nor given back expires by itself.
- A confirmation fails if its reservation does not exist any more. The peer is let in only if the directory has answered
  that the confirmation succeeded.
- A request gives back only what it has reserved or confirmed itself.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeVar

from medusa.directory import BrokenEntry, DirectoryError, Mark
from medusa.reflector.auth.authenticator import Grant
from medusa.reflector.auth.denials import denied, used_before
from medusa.reflector.auth.replay_cache import ReplayCache
from medusa.reflector.refusal import Refusal, broken_entry, directory_away

T = TypeVar("T")

REMEMBER = 120.0
"""Seconds for which a used signature is remembered after it has expired.

During this time another reflector may still accept the expired signature: its clock is behind, or it was suspended.
"""

_LATE = 30.0
"""If a signature expires after it was reserved, its reservation can still be confirmed for so many seconds."""


class Marks(Protocol):
    """The interface to the marks in the directory. A mark records that a signature is reserved or used.

    The name of a mark is the hash of its signature. See medusa.directory.Directory.
    """

    def reserve(self, mark: str, token: str) -> Mark:
        """Reserves a mark for some seconds, if it is free. Returns its state before.

        `token`: a new random text, by which `confirm` and `give_back` find the reservation.
        """

    def confirm(self, mark: str, token: str, use: str, ttl: float) -> bool:
        """Extends a mark's reservation to `ttl` seconds from now. Returns False if there is no such reservation.

        `token`: the text with which the mark was reserved. `use`: a new random text, by which `settle` finds the mark.
        """

    def settle(self, mark: str, use: str) -> None:
        """Records that a mark is used. `use`: the text with which `confirm` was called."""

    def give_back(self, mark: str, *tokens: str) -> None:
        """Makes a mark unused again, if it was reserved or confirmed with one of `tokens`. Does not block.

        If the directory does not answer now, the mark is given back later.
        """


class ReservedMark(NamedTuple):
    """The data of a reservation. One reflector sends it to another, which then confirms the reservation.

    Attributes:
        mark: the name of the signature in the directory.
        token: the random text with which the mark was reserved.
        until: the time at which the signature expires, in seconds since the epoch.
    """

    mark: str
    token: str
    until: int


class SingleUse:
    """Remembers the signatures that this process has reserved or used.

    Args:
        nonces: remembers the signatures that were used in this process.
        marks: records in the directory, for all reflectors, which signatures are reserved or used.
        clock: returns seconds since the epoch.
    """

    def __init__(self, nonces: ReplayCache, marks: Marks, clock: Callable[[], float]) -> None:
        self.nonces = nonces
        self.marks = marks
        self.clock = clock
        self.busy: set[bytes] = set()

    def reserve(self, grant: Grant) -> Reservation:
        """Reserves a signature, in this process and in the directory. Returns the reservation.

        Call `settle`, `settled_elsewhere` or `give_back` of the reservation to end it.

        Raises:
            Refusal: 403 if the signature was used before. 503 if another request with the same signature is in
                progress, or if the directory does not answer.
        """
        digest = grant.digest
        if self.nonces.used(digest):
            raise used_before()
        if digest in self.busy:
            raise _in_use()
        reserved = ReservedMark(digest.hex(), secrets.token_hex(16), int(grant.until))
        reservation = Reservation(self, reserved, busy=True)
        self.busy.add(digest)
        try:
            found = _answered(lambda: self.marks.reserve(reserved.mark, reserved.token))
        except BaseException:
            reservation.give_back()
            raise
        if found is Mark.FREE:
            return reservation
        self.busy.discard(digest)
        raise used_before() if found is Mark.USED else _in_use()

    def adopt(self, reserved: ReservedMark) -> Reservation:
        """Returns a Reservation for the data `reserved`, which another reflector has sent here."""
        return Reservation(self, reserved, busy=False)

    def used(self) -> list[tuple[str, float]]:
        """Returns the names of the signatures used in this process, each with the seconds for which to remember it."""
        now = self.clock()
        return [(digest.hex(), max(1.0, until - now)) for digest, until in self.nonces.entries()]


class Reservation:
    """A signature that is reserved for one request.

    Args:
        book: the record of this process about used signatures.
        reserved: the reservation's data. A reflector that forwards the request sends them along, so that the next
            reflector can confirm the reservation.
        busy: True if the reservation was made here, and False if another reflector made it and forwarded the request.
            If True, the signature is in `book.busy`.
    """

    def __init__(self, book: SingleUse, reserved: ReservedMark, *, busy: bool) -> None:
        self.reserved = reserved
        self._book = book
        self._busy = busy
        self._noted = False  # True: this request has put the signature into `book.nonces`
        self._use = ""
        self._digest = bytes.fromhex(reserved.mark)

    def confirm(self) -> None:
        """Makes the reservation last longer than the signature is valid. Call `settle` next.

        If this method raises Refusal, or if the peer cannot be let in, call `give_back` instead of `settle`.

        Raises:
            Refusal: 503 if the reservation does not exist any more, or if the directory does not answer. 403 if the
                signature has expired since the reservation.
        """
        book, use = self._book, secrets.token_hex(16)
        ttl = self.reserved.until + REMEMBER - book.clock()
        if ttl < REMEMBER - _LATE:
            raise denied(403, "the signature has expired while the request waited; sign anew")
        self._use = use
        if not _answered(lambda: book.marks.confirm(self.reserved.mark, self.reserved.token, use, ttl)):
            raise _in_use()

    def settle(self) -> None:
        """Records that the signature is used. Call this right before the peer is let in.

        If the peer cannot be let in after all, call `give_back`.
        """
        self.settled_elsewhere()
        with contextlib.suppress(DirectoryError):  # then other reflectors only tell the peer to try again
            self._book.marks.settle(self.reserved.mark, self._use)

    def settled_elsewhere(self) -> None:
        """Records, in this process only, that the signature is used. Call it if another reflector has let the peer in.

        The other reflector has received the reservation's data, and records in the directory that the signature is
        used.
        """
        self._noted |= not self._book.nonces.used(self._digest)
        self._book.nonces.use(self._digest, self.reserved.until + REMEMBER)
        self._end()

    def give_back(self) -> None:
        """Makes the signature unused again. Call this if the peer was not let in. Does not block. Idempotent.

        Gives back what this object has reserved and confirmed. If another reflector has confirmed the reservation, that
        confirmation stays. If the directory carries out an earlier call of `confirm` only after this call, the
        confirmation fails.
        """
        if self._noted:
            self._book.nonces.give_back(self._digest)
        self._end()
        tokens = [self.reserved.token, *([self._use] if self._use else [])]
        self._book.marks.give_back(self.reserved.mark, *tokens)

    def _end(self) -> None:
        """Records that this request is not in progress any more. Idempotent."""
        if self._busy:
            self._busy = False
            self._book.busy.discard(self._digest)


def _answered(ask: Callable[[], T]) -> T:
    """Calls `ask`, and returns the directory's answer. Raises Refusal (503) if there is no valid answer."""
    try:
        return ask()
    except BrokenEntry as error:
        raise broken_entry("this signature", error) from None
    except DirectoryError:
        raise directory_away() from None


def _in_use() -> Refusal:
    words = "another request with this signature is being served, or has just failed; try again"
    return Refusal(503, words, retry_after=5, secret=True)
