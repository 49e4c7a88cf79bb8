"""The command `medusa sign-url`: prints a URL with which a job that has no key can attach to a session."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence

from medusa.client.outcome import Failure
from medusa.client.session.session_url import SessionUrl
from medusa.commands.manta_options import SigningOptions, add_signing_options, manta_options
from medusa.commands.options import VARIABLES
from medusa.commands.user_config.parser import FILES, UserOptionParser
from medusa.help_text import Section
from medusa.protocol.attach_path import LOGIN
from medusa.protocol.printable import printable
from medusa.transports.dial import ConnectRefused, parse_url

LIFETIME = 300.0
"""The default time in seconds for which the URL is valid: the same as in the original Medusa."""

DESCRIPTION = """Print a pre-signed URL for the agent of session ID, as it belongs in the agent's config under
`signed_url`. Everybody that has it can enter that session, once, until it expires. --url is that of the reflector, or
of a Manta."""

SECTIONS = (
    Section("Examples", (("medusa sign-url -u https://medusa.example.com -a alice -k ~/.ssh/id_ed25519 ID", ""),)),
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
    manta = manta_options(given)
    try:
        print(signed(manta, given.session, given.expires))
    except Failure as failure:
        print("\n".join(f"medusa sign-url: {line}" for line in str(failure).splitlines()), file=sys.stderr)
        return 1
    return 0


def make_parser() -> UserOptionParser:
    """Returns the parser of the options of `medusa sign-url`."""
    parser = UserOptionParser("medusa sign-url", DESCRIPTION, USAGE_ERROR, sections=SECTIONS)
    add = parser.add_argument_group("What is signed").add_argument
    add("session", metavar="ID", help="session's id, or a path from / on, to be signed as it stands")
    add("--expires", metavar="SECONDS", type=_seconds, default=LIFETIME, help="how long it is good for (%(default).0f)")
    add_signing_options(parser)
    return parser


def signed(manta: SigningOptions, session: str, lifetime: float) -> str:
    """Returns a signed URL that is valid for `lifetime` seconds. Raises Failure.

    `session`: the id of a session; or a path, which is signed as it is.
    """
    manta.require("account", "key", "url")
    assert manta.account is not None
    assert manta.url is not None
    _check(manta.account, manta.subuser, manta.url)
    from medusa.client.keys.account import Account, find_signer

    account = Account(manta.account, manta.subuser, find_signer(manta.key))
    if session.startswith("/"):
        return account.presign(manta.url, session, lifetime)
    return SessionUrl(manta.url, session, account).agent_url(lifetime)


def _check(account: str, user: str | None, url: str) -> None:
    for name in filter(None, (account, user)):
        if not re.fullmatch(LOGIN, name):
            raise Failure(f"{printable(name)!r} is no login")
    try:
        good = "@" not in url and "?" not in url and parse_url(url).host
    except ConnectRefused:
        good = ""
    if not good:  # the message does not repeat the URL, which may hold a password
        raise Failure("--url is not of the form https://HOST, with a port or without")


def _seconds(text: str) -> float:
    if not text.isascii() or not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return float(text)
