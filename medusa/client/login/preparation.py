"""What mlogin decides before it starts a reflector and a job: whether that can be, and the job's variables."""

from __future__ import annotations

import os

from medusa.client.settings import Settings

_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


def job_environ(*, embedded: bool) -> dict[str, str]:
    """Returns variables for the job: the proxies of this machine, unless the reflector runs here (`embedded`)."""
    return {} if embedded else {name: value for name, value in os.environ.items() if name.lower() in _PROXIES}


def cannot_detach(settings: Settings, *, embedded: bool) -> str:
    """Returns the reason why the user cannot leave this session without ending it; "" if the user can.

    `embedded`: True if an mlogin of this user runs the reflector.
    """
    if embedded and not settings.joins:
        return "the session ends with this mlogin, which runs its own reflector; --reflector URL names one that stays"
    return "--keep 0 ends the session with mlogin" if not settings.keep else ""


def cannot_attach(settings: Settings) -> str:
    """Returns the reason why mlogin cannot attach to a terminal that runs already; "" if there is none.

    There is one possible reason: the user wants to type, and standard input is no terminal.
    """
    if settings.attach is None or settings.attach.read_only or os.isatty(0):
        return ""
    return "standard input is no terminal; --read-only only watches"
