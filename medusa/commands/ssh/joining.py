"""The settings with which commands join a session that runs, to use channels of it."""

from __future__ import annotations

from types import SimpleNamespace

from medusa.client.settings import Settings
from medusa.commands.own_sessions.options import WAIT_TIMEOUT, Access
from medusa.protocol.session_id import UUID

SUFFIX = ".medusa"
"""The end of the host's name by which ssh knows a session."""


def session_of(host: str) -> str:
    """Returns what names the session of a host: the host's name without SUFFIX."""
    return host.strip().removesuffix(SUFFIX)


def joining(prog: str, session: str, found: Access, given: SimpleNamespace) -> Settings:
    """Returns the settings for a program that joins `session`: its name, its id, or the beginning of its id.

    Args:
        prog: the program that messages name.
        given: all options.
    """
    return Settings(
        pty=False,
        quiet=True,
        no_input=True,
        launcher="held",
        joins=True,
        reflector=found.reflector,
        wait_timeout=WAIT_TIMEOUT,
        keep=given.keep,
        session=session.lower() if UUID.fullmatch(session.lower()) else None,
        beginning=session,
        login=found.signing.account,
        subuser=found.signing.subuser,
        key=found.signing.key,
        unsigned_first=found.unsigned_first,
        insecure_tls=found.signing.insecure_tls,
        headers=found.headers,
        prog=prog,
    )
