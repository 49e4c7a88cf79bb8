"""Lists the session of an mlogin on this machine, for the user's other commands."""

from __future__ import annotations

import contextlib
import functools
import os
import time

from medusa.client.launchers.base import Launcher
from medusa.client.ledger import Ledger
from medusa.client.queries import local
from medusa.client.session.reconnect import Dialer
from medusa.client.settings import Settings


def announced(
    settings: Settings, launcher: Launcher, dialer: Dialer, ledger: Ledger
) -> contextlib.AbstractContextManager[None]:
    """Returns a context manager that lists the session on this machine during its `with` block.

    So this user's `medusa ls` and `medusa exec` find the session. The context manager does nothing if these programs
    can ask the session's reflector, or if another mlogin has begun the session and lists it already.
    """
    if not dialer.embedded or settings.joins:
        return contextlib.nullcontext()
    names = {"name": settings.name, "job": launcher.describe(), "host": os.uname().nodename}
    entry = {"id": dialer.url.session, "state": "linked", "created": time.time(), "reflector": dialer.url.base}
    return local.announced({**entry, **names}, noted=functools.partial(ledger.entry, "file"))
