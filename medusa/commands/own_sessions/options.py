"""The options of the commands about the user's own sessions: which reflector, account and key."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

from medusa.client.outcome import Failure
from medusa.client.settings import Settings
from medusa.commands.manta_options import (
    SigningOptions,
    add_account_options,
    add_header_options,
    header_options,
    manta_options,
)
from medusa.commands.mlogin_options import signing, types
from medusa.commands.user_config.parser import UserOptionParser
from medusa.protocol.session_id import UUID
from medusa.transports.dial import is_raw
from medusa.transports.dial.headers import Headers

WAIT_TIMEOUT = 60.0
"""Seconds to wait until the agent, which is running, has attached. The reflector usually gives up earlier."""

WHICH_SESSION = "which session? `medusa ls` lists yours"
"""The error of a command that lacks its argument SESSION."""


class Access(NamedTuple):
    """Says how the user's sessions are reached: at which reflector, and with which account.

    Attributes:
        reflector: the reflector's URL. None to reach only the sessions for which mlogin has started a reflector on this
            machine.
        signing: the account that signs.
        unsigned_first: True to sign only after the reflector has refused a request without a signature.
        headers: the header fields to send in addition.
    """

    reflector: str | None
    signing: SigningOptions
    unsigned_first: bool
    headers: Headers


def add_access_options(parser: UserOptionParser) -> None:
    """Adds the options for reflector, account and key to a parser. After parsing, `access` returns their values."""
    group = parser.add_argument_group("Reflector, account and key")
    told = "the reflector of the session (default: sessions of your mlogin on this machine that named none)"
    group.add_argument("--reflector", metavar="URL", type=types.reflector_url, help=told)
    add_account_options(group)
    insecure = "trust any certificate; also by MANTA_TLS_INSECURE"
    # No -i, which mlogin has: it would be set by the `-it` that users of docker and kubectl are used to.
    group.add_argument("--insecure-tls", "--insecure", action="store_true", help=insecure)
    add_header_options(group)


def access(parser: UserOptionParser, given: SimpleNamespace, words: Sequence[str]) -> Access:
    """Returns the values of the options for reflector, account and key.

    Calls `parser.error` if a part of the account is missing, a login is malformed, or header fields cannot be sent.

    Args:
        given: what the parser returned.
        words: the command line.
    """
    try:
        return _access(parser, given, words)
    except Failure as failure:
        parser.error(str(failure))


def session_given(parser: UserOptionParser, given: SimpleNamespace) -> str:
    """Returns the argument SESSION. Calls `parser.error` if it is empty."""
    session: str = given.session.strip()
    if not session:
        parser.error(WHICH_SESSION)
    return session


def _access(parser: UserOptionParser, given: SimpleNamespace, words: Sequence[str]) -> Access:
    headers = header_options(given)
    if given.reflector is None:
        return Access(None, signing.nobody(insecure_tls=given.insecure_tls), False, headers)
    if headers and is_raw(given.reflector):
        raise Failure("--header: raw TCP has no header fields")
    typed, manta = parser.typed(words), manta_options(given)
    options = signing.chosen(parser, manta, typed)
    who, unsigned_first = signing.for_reflector(manta, options, typed, insecure_tls=given.insecure_tls)
    return Access(given.reflector, who, unsigned_first, headers)


def join_settings(prog: str, session: str | None, keep: int, found: Access, **others: Any) -> Settings:
    """Returns the settings with which mlogin joins a session that runs, and starts no job.

    Args:
        prog: the name of the program, for messages.
        session: the session's name, its id, or the beginning of its id. None to take the only session.
        keep: for how many seconds to try to come back after a lost link.
        found: how the user's sessions are reached.
        others: further settings: what to do in the session.
    """
    return Settings(
        launcher="held",
        joins=True,
        reflector=found.reflector,
        wait_timeout=WAIT_TIMEOUT,
        keep=keep,
        session=session.lower() if session is not None and UUID.fullmatch(session.lower()) else None,
        beginning=session,
        login=found.signing.account,
        subuser=found.signing.subuser,
        key=found.signing.key,
        unsigned_first=found.unsigned_first,
        insecure_tls=found.signing.insecure_tls,
        headers=found.headers,
        prog=prog,
        **others,
    )
