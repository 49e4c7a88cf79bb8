"""The options for account, key and Manta, of all programs that sign requests.

Names and variables are the original's. The variables MANTA_... are set for all of a user's programs, so everything else
wins over them: the command line, then MEDUSA_..., then the config file.
"""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import NamedTuple

from medusa.client.outcome import Failure
from medusa.commands.options import OptionParser


class SigningOptions(NamedTuple):
    """What the user gave; None for what is missing.

    Attributes:
        key: a fingerprint, or the path of a key file.
        url: of the Manta, or of a reflector.
    """

    account: str | None
    subuser: str | None
    key: str | None
    url: str | None
    insecure_tls: bool

    def require(self, *names: str) -> None:
        """Raises Failure, with what to do, for the first of `names` (`account`, `key`, `url`) that is missing."""
        for name in names:
            if not getattr(self, name):
                raise Failure(_MISSING[name])


_MISSING = {
    "account": "which account? Give --account LOGIN or set MANTA_USER",
    "key": "which key? Give --key with the fingerprint of an ssh key or its file's path, or set MANTA_KEY_ID",
    "url": "which Manta? Give --url https://HOST or set MANTA_URL",
}


def add_manta_options(parser: OptionParser) -> None:
    """Adds all options; `manta_options` reads them, and the variable MANTA_TLS_INSECURE."""
    add_signing_options(parser)
    insecure = "trust any certificate; also by MANTA_TLS_INSECURE"
    parser.add_argument("-i", "--insecure-tls", "--insecure", action="store_true", help=insecure)


def add_signing_options(parser: OptionParser) -> None:
    """Adds the options of a program that signs a URL and sends no request."""
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


def manta_options(given: SimpleNamespace) -> SigningOptions:
    """The options that the user gave. A variable that is empty counts as missing."""
    insecure = os.environ.get("MANTA_TLS_INSECURE", "") not in ("", "0")  # as the original reads it
    return SigningOptions(
        given.account or None,
        given.subuser or None,
        given.key or None,
        given.url or None,
        getattr(given, "insecure_tls", False) or insecure,
    )
