"""Makes the client of the reflector that the user's options name. This file takes long to import."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import urlsplit

from medusa.client.keys.account import Account, find_signer
from medusa.client.queries.api import Api
from medusa.commands.own_sessions.options import Access


class Asked(NamedTuple):
    """Holds the client of a reflector, and the account that signs its requests.

    Attributes:
        api: the client of the reflector. It has an account only if every request is to be signed.
        login: the name of the user's account; None if there is none.
        find_account: a function that returns the account with its key. Call it after an unsigned request was refused.
            None if `api` has the account, or if nothing is to be signed.
    """

    api: Api
    login: str | None
    find_account: Callable[[], Account] | None


def asked(way: Access) -> Asked:
    """Returns the client of the reflector that `way` names, and the account. Raises Failure if the account has no key.

    `way.reflector` must not be None.
    """
    reflector, signing = way.reflector or "", way.signing

    def account() -> Account:
        assert signing.account is not None
        return Account(signing.account, signing.subuser, find_signer(signing.key, urlsplit(reflector).hostname))

    signs = signing.account is not None
    first = account() if signs and not way.unsigned_first else None
    api = Api(reflector, first, insecure_tls=signing.insecure_tls, headers=way.headers)
    return Asked(api, signing.account, account if signs and way.unsigned_first else None)
