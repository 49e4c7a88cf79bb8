"""Decides which account signs the requests of mlogin, and of the commands about the user's own sessions."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from medusa.client.outcome import Failure
from medusa.commands.manta_options import VARIABLES, SigningOptions, login_name
from medusa.commands.options.config_file import COMMON
from medusa.commands.user_config.parser import UserOptionParser
from medusa.protocol.attach_path import LOGIN


def chosen(parser: UserOptionParser, manta: SigningOptions, typed: Collection[str]) -> dict[str, bool]:
    """Returns the options for signing that the user has set for this program.

    An option is left out if only MANTA_... or MEDUSA_URL sets it, because all programs of a user read these variables.

    Args:
        manta: the values of the options for account, key and Manta.
        typed: the names of the options on the command line.

    Returns:
        Name of the option -> True if a common key of the config file sets it. Common keys are for sessions of all
        kinds.
    """
    by_variable = parser.set_by_variables()
    found = {}
    for name in (*VARIABLES, "insecure_tls"):
        place = parser.place_of(name.replace("_", "-"))
        set_here = name in typed or by_variable.get(name, "MEDUSA_URL") != "MEDUSA_URL" or place is not None
        if set_here and getattr(manta, name):
            found[name] = place is not None and place.section == COMMON
    return found


def for_reflector(
    manta: SigningOptions, options: Mapping[str, bool], typed: Collection[str], *, insecure_tls: bool
) -> tuple[SigningOptions, bool]:
    """Returns a pair: the options for signing, and True to sign only after an unsigned request was refused.

    If nothing is to be signed, the options contain no account. A single variable MANTA_... does not make the program
    sign all requests, because it may be set for another program. Variables for both account and key do so.

    Args:
        manta: the values of the options for account, key and Manta.
        options: what `chosen` has returned.
        typed: the names of the options on the command line.
        insecure_tls: the value of --insecure-tls, without regard to MANTA_TLS_INSECURE. If all requests are to be
            signed, this argument is ignored, and the result has the value in `manta`.

    Raises:
        Failure: a part of the account is missing, or a login is malformed.
    """
    who = {"account", "key", "subuser"}
    for_signing = {name for name in who & set(options) if not options[name]}
    if "account" in typed:  # an empty one that is typed overrides what variables and the config file name
        for_signing &= set(typed)
    if manta.anonymous and not for_signing:
        return nobody(insecure_tls=insecure_tls), False
    if who & set(options) or (manta.account and manta.key):
        manta = manta.with_account()
        check_logins(manta)
        return manta, False
    account = manta.account if re.fullmatch(LOGIN, manta.account or "") else login_name()
    return SigningOptions(account, None, manta.key, None, insecure_tls), account is not None


def nobody(*, insecure_tls: bool) -> SigningOptions:
    """Returns options without account and key, for a program that signs nothing."""
    return SigningOptions(None, None, None, None, insecure_tls)


def check_logins(manta: SigningOptions) -> None:
    """Raises Failure if the name of the account, or of its subuser, is malformed."""
    for name in filter(None, (manta.account, manta.subuser)):
        if not re.fullmatch(LOGIN, name):
            raise Failure(f"{name!r} is no login")
