"""Records in the directory which signatures were used, and which sessions have ended.

A mark is the name of a signature, which may be used only once, or the name of an ended session.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Protocol

from medusa.directory import BrokenEntry, DirectoryError, Mark
from medusa.reflector.config import Timeouts
from medusa.reflector.sessions.claims.asker import Asker, owe

MAX_ENDED = 16384
"""The most marks of sessions that have ended which this process remembers, to tell them to the directory again."""

_ENDED = "ended "
"""What the names of these marks begin with in the directory. Those of signatures begin with a hexadecimal digit."""

_RECALLING = "it has forgotten everything, and is being told again what was used"

_TOKENS = 16
"""The maximum number of tokens (see Directory.give_back) that are kept for one mark."""


class Lease(Protocol):
    """The interface of a lease: the entry in the directory that gives this reflector the right to its address.

    See medusa.reflector.cluster.lease.
    """

    displaced: str

    @property
    def held(self) -> bool:
        """True if this reflector has the lease, as far as it knows."""

    def has_died(self, address: str) -> bool:
        """Returns True if the reflector at `address` has certainly ended. Returns False if it may still run.

        Raises DirectoryError.
        """

    def keep(self) -> bool:
        """Renews the lease. If the directory does not have it any more, takes it again.

        Returns True if the lease had to be taken again. This means that the directory has lost its contents. Returns
        False otherwise. Raises DirectoryError.
        """


class Forgetful(DirectoryError):
    """Raised if a mark cannot be checked or reserved now, because the directory has lost its contents.

    This happens, for example, when the store is restarted. A used mark may look unused until all reflectors have told
    the directory which marks they have used.
    """


class Marks:
    """Reserves and uses marks in the directory. A mark is the name of a signature, or of an ended session.

    Most methods block their greenlet until the directory answers.

    Attributes:
        used: a function that is called if the directory has lost its contents. It returns the marks that this process
            has used, each with the seconds for which the directory has to remember it.
    """

    def __init__(self, asker: Asker, timeouts: Timeouts, lease: Lease | None) -> None:
        self.used: Callable[[], Iterable[tuple[str, float]]] = tuple
        self._asker = asker
        self._directory = asker.directory
        self._timeouts = timeouts
        self._lease = lease
        self._untold: dict[str, float] = {}  # by forgotten mark: for how many seconds the directory has to remember it
        self._recalled_at = 0.0  # by time.monotonic(): when the directory knows again all that it had forgotten
        self._ended: dict[str, int] = {}  # by mark of a session that has ended here: until when it is remembered
        self._unsaid: set[str] = set()  # those of them that the directory has yet to be told
        self._owed: dict[str, tuple[str, ...]] = {}  # by mark, the tokens by which to give it back; see `undo`

    def spend(self, mark: str, ttl: float) -> bool:
        """Records for `ttl` seconds that `mark` is used. Returns True if it was unused before. See Directory.spend."""
        return bool(self._asker.ask(self._directory.spend, mark, ttl))

    def reserve(self, mark: str, token: str) -> Mark:
        """Reserves `mark`, the name of a signature, for `reservation_ttl` seconds. Returns its former state.

        See Directory.reserve.

        Args:
            token: a new random text, by which `confirm` and `give_back` find this reservation.

        Raises:
            Forgetful: the directory has lost its contents, so the mark may have been used at another reflector.
        """
        found: Mark = self._asker.ask(self._directory.reserve, mark, token, self._timeouts.reservation_ttl)
        self._recall()  # if the directory has forgotten the mark, it has forgotten the lease
        if found is Mark.FREE and time.monotonic() < self._recalled_at:
            raise Forgetful(_RECALLING)
        return found

    def confirm(self, mark: str, token: str, use: str, ttl: float) -> bool:
        """Extends a reservation of `mark` to `ttl` seconds from now. Returns False if the reservation has ended.

        Args:
            token: the text with which `reserve` was called.
            use: a new random text, by which `settle` and `give_back` find the reservation. See Directory.confirm.
        """
        return bool(self._asker.ask(self._directory.confirm, mark, token, use, ttl))

    def settle(self, mark: str, use: str) -> None:
        """Records that `mark` is used. Blocks until the directory answers. See Directory.settle.

        `use`: the text with which `confirm` was called.
        """
        self._asker.ask(self._directory.settle, mark, use)

    def add(self, mark: str, until: int) -> None:
        """Notes in this process that a session has ended. Does not block. Call `tell_end` to tell the directory.

        Args:
            mark: names the session; see medusa.reflector.tickets.ended.
            until: how long the end has to be remembered: a time in seconds since 1970.
        """
        self._ended[mark] = until
        while len(self._ended) > MAX_ENDED:
            del self._ended[next(iter(self._ended))]
        self._unsaid.add(mark)

    def __contains__(self, mark: str) -> bool:
        """True if the session that `mark` names has ended. Blocks until the directory answers.

        Raises:
            DirectoryError: the directory does not answer, or it has lost its contents and perhaps this mark with them.
        """
        if mark in self._ended:
            return True
        spent = bool(self._asker.ask(self._directory.is_spent, _ENDED + mark))
        self._recall()
        if not spent and time.monotonic() < self._recalled_at:
            raise Forgetful(_RECALLING)
        return spent

    def give_back(self, mark: str, *tokens: str) -> None:
        """Makes `mark` unused again. Does not block: if the directory does not answer, this is done later.

        See Directory.give_back.
        """
        self._asker.call_later(self._give_back, mark, tokens)

    def undo(self) -> None:
        """Gives back the marks that the directory may have reserved without an answer. Call this when it answers again.

        Also tells the directory which sessions have ended since it did not answer.
        """
        self._asker.each(self._undo, list(self._owed.items()))
        self._asker.each(self.tell_end, [(mark,) for mark in self._unsaid])

    def tell_end(self, mark: str) -> None:
        """Tells the directory that the session named by `mark` has ended. Call `add` first. Raises nothing.

        If the directory does not answer, a later call of `undo` tells it.
        """
        if (ttl := self._ended.get(mark, 0) - time.time()) <= 0:
            self._ended.pop(mark, None)
            self._unsaid.discard(mark)
            return
        try:
            self._asker.ask(self._directory.spend, _ENDED + mark, ttl)
        except DirectoryError:
            return
        self._unsaid.discard(mark)

    def keep_lease(self) -> bool:
        """Renews this reflector's lease on its address. Returns True if the directory has lost its contents.

        Returns False in all other cases, also if the directory does not answer. See `_recall`.
        """
        try:
            return self._recall()
        except DirectoryError:
            return False

    def _undo(self, mark: str, tokens: tuple[str, ...]) -> None:
        self._owed.pop(mark, None)
        self._give_back(mark, tokens)

    def _give_back(self, mark: str, tokens: tuple[str, ...]) -> None:
        try:
            self._asker.ask(self._directory.give_back, mark, *tokens)
        except BrokenEntry:
            pass  # nothing of ours is there
        except DirectoryError:
            tokens = (*self._owed.pop(mark, ()), *tokens)
            owe(self._owed, mark, tokens[-_TOKENS:])

    def _recall(self) -> bool:
        """Renews this reflector's lease on its address. Returns True if the directory has lost its contents.

        If the lease is missing, the directory has lost its contents. Then this method tells it which marks were used
        here: which signatures were used, and which sessions have ended. After that, `reserve` reserves no mark for
        `recall_timeout` seconds. In this time the other reflectors tell the directory their marks.

        Raises DirectoryError.
        """
        if self._lease is None:
            return False
        forgotten = bool(self._asker.ask(self._lease.keep))
        if forgotten:
            self._recalled_at = time.monotonic() + self._timeouts.recall_timeout
            self._untold = dict(self.used())
            now = time.time()
            self._untold.update((_ENDED + mark, until - now) for mark, until in self._ended.items() if until > now)
        self._asker.each(self._tell, list(self._untold.items()))
        return forgotten

    def _tell(self, mark: str, ttl: float) -> None:
        """Records in the directory, for `ttl` seconds, that `mark` was used. Raises nothing.

        If the directory does not answer, the next call of `_recall` records it.
        """
        try:
            self._asker.ask(self._directory.spend, mark, ttl)
        except DirectoryError:
            return
        self._untold.pop(mark, None)
