"""The options for account, key and Manta, which all programs that sign requests share.

Options and variables have the same names as in the original Medusa. The variables MANTA_... are set for all programs of
a user, so they have the least weight: the command line comes first, then MEDUSA_..., then the config file.
"""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any, NamedTuple

from medusa.client.outcome import Failure
from medusa.commands.options import OptionParser


class SigningOptions(NamedTuple):
    """The values of the options for account, key and Manta. A value that the user did not give is None.

    Attributes:
        account: the login of the account.
        subuser: the name of a user of the account.
        key: the fingerprint of an ssh key, or the path of its file.
        url: the URL of the Manta, or of a reflector.
        insecure_tls: trust any certificate.
    """

    account: str | None
    subuser: str | None
    key: str | None
    url: str | None
    insecure_tls: bool

    def require(self, *names: str) -> None:
        """Raises Failure, which says what to do, if an option of `names` (`account`, `key`, `url`) is missing."""
        for name in names:
            if not getattr(self, name):
                raise Failure(_MISSING[name])


VARIABLES = {
    "account": ("MANTA_USER",),
    "subuser": ("MANTA_SUBUSER",),
    "key": ("MANTA_KEY_ID",),
    "url": ("MANTA_URL",),
}
"""The variables of the original Medusa that set these options, if nothing else does."""

_MISSING = {
    "account": "which account? Give --account LOGIN or set MANTA_USER",
    "key": "which key? Give --key with the fingerprint of an ssh key or its file's path, or set MANTA_KEY_ID",
    "url": "which Manta? Give --url https://HOST or set MANTA_URL",
}


def add_manta_options(parser: OptionParser) -> None:
    """Adds all options for account, key and Manta to `parser`. After parsing, call `manta_options` for their values."""
    group = add_signing_options(parser)
    insecure = "trust any certificate; also by MANTA_TLS_INSECURE"
    group.add_argument("-i", "--insecure-tls", "--insecure", action="store_true", help=insecure)


def add_signing_options(parser: OptionParser) -> Any:
    """Adds the options for account, key and Manta to `parser`, for a program that signs a URL but sends no request.

    Returns the group to which they belong.
    """
    group, environ = parser.add_argument_group("Account and key"), os.environ.get
    add = group.add_argument
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
    return group


def manta_options(given: SimpleNamespace) -> SigningOptions:
    """Returns the values of the options for account, key and Manta. An empty value counts as missing.

    `given`: what the parser returned.
    """
    insecure = os.environ.get("MANTA_TLS_INSECURE", "") not in ("", "0")  # the same rule as in the original Medusa
    return SigningOptions(
        given.account or None,
        given.subuser or None,
        given.key or None,
        given.url or None,
        getattr(given, "insecure_tls", False) or insecure,
    )
