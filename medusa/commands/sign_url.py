"""The command `medusa sign-url`: prints a URL with which a job that has no key can attach to a session."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence

from medusa.client.outcome import Failure
from medusa.client.session.session_url import SessionUrl
from medusa.commands.manta_options import SigningOptions, add_signing_options, manta_options
from medusa.commands.options.parser import VARIABLES
from medusa.commands.user_config.parser import FILES, UserOptionParser
from medusa.help_text import Section
from medusa.protocol.attach_path import LOGIN
from medusa.protocol.printable import printable
from medusa.transports.dial import ConnectRefused, parse_url

LIFETIME = 300.0
"""The default time in seconds for which the URL is valid: the same as in the original Medusa."""

DESCRIPTION = """Print a pre-signed URL by which the agent of session ID can attach, as it belongs in the agent's config
under `signed_url`. Everybody that has it can enter that session, once, until it expires. No request is sent. Without
--key, the URL is signed with the first of the keys that ssh would try; if there are several, a line on stderr says
which."""

SECTIONS = (
    Section("Examples", (("medusa sign-url --reflector https://medusa.example.com -a alice ID", ""),)),
    Section(
        VARIABLES, (("MANTA_USER, MANTA_SUBUSER, MANTA_KEY_ID, MANTA_URL", "as for mlogin; MEDUSA_... override them"),)
    ),
    FILES,
    Section("Exit status", (("0", "done"), ("1", "not done"), ("2", "wrong usage"))),
)

USAGE_ERROR = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `medusa sign-url`. Returns the exit status: 0, or 1 after an error.

    Raises SystemExit(2) for wrong usage.
    """
    given = make_parser().parse_args(argv)
    try:
        print(signed(manta_options(given), given.session, given.expires, _complain))
    except Failure as failure:
        _complain(str(failure))
        return 1
    return 0


def make_parser() -> UserOptionParser:
    """Returns the parser of the options of `medusa sign-url`."""
    parser = UserOptionParser("medusa sign-url", DESCRIPTION, USAGE_ERROR, own=("url",), sections=SECTIONS)
    add = parser.add_argument_group("What is signed").add_argument
    add("session", metavar="ID", help="session's id, or a path from / on, to be signed as it stands")
    add("--expires", metavar="SECONDS", type=_seconds, default=LIFETIME, help="how long it is good for (%(default).0f)")
    add_signing_options(parser, reflector=True)
    return parser


def signed(manta: SigningOptions, session: str, lifetime: float, tell: Callable[[str], object]) -> str:
    """Returns a signed URL that is valid for `lifetime` seconds. Raises Failure if no such URL can be made.

    Args:
        manta: the options for account and key. `manta.url` is the URL of the reflector.
        session: the id of a session; or a path, which is signed as it is.
        tell: a function that shows a line to the user. It is called if the account has several keys.
    """
    manta = manta.with_account()
    if not manta.url:
        raise Failure("which reflector? Give --reflector URL or set MEDUSA_REFLECTOR")
    assert manta.account is not None
    host = _check(manta.account, manta.subuser, manta.url)
    from medusa.client.keys.account import Account, find_signer

    account = Account(manta.account, manta.subuser, find_signer(manta.key, host))
    choice = account.has_other_keys
    if session.startswith("/"):
        url = account.presign(manta.url, session, lifetime)
    else:
        url = SessionUrl(manta.url, session, account).agent_url(lifetime)
    if choice:
        tell(f"signed by {account}; --key names another key")
    return url


def _complain(text: str) -> None:
    print("\n".join(f"medusa sign-url: {line}" for line in text.splitlines()), file=sys.stderr)


def _check(account: str, user: str | None, url: str) -> str:
    """Returns the host of `url`. Raises Failure if a login or the URL is malformed."""
    for name in filter(None, (account, user)):
        if not re.fullmatch(LOGIN, name):
            raise Failure(f"{printable(name)!r} is no login")
    try:
        host = "" if "@" in url or "?" in url else parse_url(url).host
    except ConnectRefused:
        host = ""
    if not host:  # the message does not repeat the URL, which may hold a password
        raise Failure("--reflector is not of the form https://HOST, with a port or without")
    return host


def _seconds(text: str) -> float:
    if not text.isascii() or not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return float(text)
