"""The options for account, key, Manta and header fields, which all programs that send requests share.

Options and variables have the same names as in the original Medusa. The variables MANTA_... are set for all programs of
a user, so every other source overrides them. A value comes from the first of these that has one: the command line,
MEDUSA_..., the config file, MANTA_... .
"""

from __future__ import annotations

import getpass
import os
import re
from types import SimpleNamespace
from typing import Any, NamedTuple

from medusa.client.outcome import Failure
from medusa.commands.options.parser import OptionParser
from medusa.protocol.attach_path import LOGIN
from medusa.transports.dial.headers import Headers, header_option


class SigningOptions(NamedTuple):
    """The values of the options for account, key and Manta. A value that the user did not give is None.

    Attributes:
        account: the login name of the Manta account.
        subuser: the name of a user that belongs to this account.
        key: the fingerprint of an ssh key, or the path of its file.
        url: the URL of the Manta, or of a reflector.
        insecure_tls: True to trust any certificate.
        anonymous: True if the user gave an empty account. Then nothing is signed.
    """

    account: str | None
    subuser: str | None
    key: str | None
    url: str | None
    insecure_tls: bool
    anonymous: bool = False

    def with_account(self) -> SigningOptions:
        """Returns the options with an account. If the user gave none, it is the user's login name on this machine.

        Raises:
            Failure: the user gave an empty account, or the login name cannot be the name of an account.
        """
        login = self.account or (None if self.anonymous else login_name())
        found = self._replace(account=login)
        found.require("account")
        return found

    def require(self, *names: str) -> None:
        """Raises Failure if one of the options `names` is missing. The text says what the user can do.

        `names`: some of `account`, `key` and `url`.
        """
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


def login_name() -> str | None:
    """Returns the user's login name on this machine. None if it is unknown, or cannot be the name of an account."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError, ImportError):
        return None
    return name if re.fullmatch(LOGIN, name) else None


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


def add_signing_options(parser: OptionParser, *, reflector: bool = False) -> Any:
    """Adds the options for account, key and Manta to `parser`. Leaves out the option that trusts any certificate.

    Use it for a program that signs a URL and sends no request. Returns the group to which the options belong.

    Args:
        reflector: True if the program's URL usually names a reflector. Then --reflector and MEDUSA_REFLECTOR set the
            URL.
    """
    group, environ = parser.add_argument_group("Account and key"), os.environ.get
    add_account_options(group)
    add = group.add_argument
    if reflector:
        text = "the reflector, or a Manta; also by MEDUSA_REFLECTOR, MEDUSA_URL, MANTA_URL"
        default = environ("MEDUSA_URL") or environ("MANTA_URL")
        add("--reflector", "-u", "--url", metavar="URL", dest="url", default=default, help=text)
    else:
        add("-u", "--url", metavar="URL", default=environ("MANTA_URL"), help="the Manta; also by MANTA_URL")
    return group


def add_account_options(group: Any) -> None:
    """Adds the options for the account and its key to `group`, a group of options of a parser."""
    add, environ = group.add_argument, os.environ.get
    add(
        "-a",
        "--account",
        metavar="LOGIN",
        default=environ("MANTA_USER") or None,
        help="account; also by MANTA_USER (default: your login name)",
    )
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
        help="an ssh key's fingerprint, or its file; also by MANTA_KEY_ID (default: the keys that ssh would try)",
    )


def add_header_options(group: Any) -> None:
    """Adds the options for header fields to a group of a parser. After parsing, `header_options` has their values."""
    group.add_argument(
        "--header",
        metavar="HEADER",
        action="append",
        default=[],
        type=header_option,
        help="'NAME: VALUE', to be sent to the reflector, for a proxy in front of it that asks for that; @FILE: those "
        "in FILE, one a line; may be repeated",
    )
    text = "sh runs COMMAND, which prints such headers, one a line"
    group.add_argument("--header-command", metavar="COMMAND", help=text)


def header_options(given: SimpleNamespace) -> Headers:
    """Returns the header fields that the user adds to requests. `given`: what the parser returned."""
    return Headers(tuple(given.header), given.header_command)


def manta_options(given: SimpleNamespace) -> SigningOptions:
    """Returns the values of the options for account, key and Manta. An empty value counts as missing.

    `given`: what the parser returned.
    """
    insecure = os.environ.get("MANTA_TLS_INSECURE", "") not in ("", "0")  # the same rule as in the original Medusa
    return SigningOptions(
        given.account or None,
        given.subuser or None,
        given.key or None,
        getattr(given, "url", None) or None,
        getattr(given, "insecure_tls", False) or insecure,
        given.account == "",
    )
