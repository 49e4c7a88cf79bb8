"""Which Manta, whose account, which key: the options that all programs have in common that speak to a Manta.

Names and variables are the original's. MANTA_... is what a login has set for every program, so it yields to all else:
the command line, then MEDUSA_..., then the config file go before it.
"""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import NamedTuple

from medusa.client.outcome import Failure
from medusa.commands.options import OptionParser


class MantaOptions(NamedTuple):
    """What was given, None where nothing was. `key` is a fingerprint or the path of a key file."""

    account: str | None
    subuser: str | None
    key: str | None
    url: str | None
    insecure_tls: bool

    def require(self, *names: str) -> None:
        """Raises Failure, with what to do, for the first of `account`, `key`, `url` that was not given."""
        for name in names:
            if not getattr(self, name):
                raise Failure(_MISSING[name])


_MISSING = {
    "account": "which account? Give --account LOGIN or set MANTA_USER",
    "key": "which key? Give --key with the fingerprint of an ssh key or its file's path, or set MANTA_KEY_ID",
    "url": "which Manta? Give --url https://HOST or set MANTA_URL",
}


def add_manta_options(parser: OptionParser) -> None:
    """All of them; `manta_options` reads them, and MANTA_TLS_INSECURE: that is for a Manta alone."""
    add_signing_options(parser)
    insecure = "trust any certificate; also by MANTA_TLS_INSECURE"
    parser.add_argument("-i", "--insecure-tls", "--insecure", action="store_true", help=insecure)


def add_signing_options(parser: OptionParser) -> None:
    """Those of a program that signs, and asks nobody."""
    add, environ = parser.add_argument, os.environ.get
    add("-a", "--account", metavar="LOGIN", default=environ("MANTA_USER"), help="account; also by MANTA_USER")
    add(
        "--subuser",
        "--user",
        metavar="NAME",
        default=environ("MANTA_SUBUSER"),
        help="the account's user; also by MANTA_SUBUSER",
    )
    add(
        "-k",
        "--key",
        "--keyId",
        metavar="KEY",
        default=environ("MANTA_KEY_ID"),
        help="an ssh key's fingerprint, or its file; also by MANTA_KEY_ID",
    )
    add("-u", "--url", metavar="URL", default=environ("MANTA_URL"), help="the Manta; also by MANTA_URL")


def manta_options(given: SimpleNamespace) -> MantaOptions:
    """What was given of them; an empty variable is none."""
    insecure = os.environ.get("MANTA_TLS_INSECURE", "") not in ("", "0")  # as the original reads it
    return MantaOptions(
        given.account or None,
        given.subuser or None,
        given.key or None,
        given.url or None,
        getattr(given, "insecure_tls", False) or insecure,
    )
