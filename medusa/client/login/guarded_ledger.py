"""Starts the guard process of an mlogin, with the ledger that tells it what to undo."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator

from medusa.client.cleanup.note import Note
from medusa.client.cleanup.undo import undo
from medusa.client.ledger import Ledger
from medusa.guard import Guard


@contextlib.contextmanager
def guarded_ledger() -> Iterator[Ledger]:
    """Context manager that yields a ledger. In it, mlogin records what its guard process must undo.

    Enter it before there is anything to undo.
    """
    note = Note()
    guard = Guard.start(functools.partial(undo, note=note), keep_fds=[fd for fd in (0, 1) if os.isatty(fd)])
    ledger = Ledger(guard, note)
    try:
        yield ledger
    finally:
        ledger.close()
