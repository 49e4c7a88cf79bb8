"""Handles requests of users about their own sessions: for the list of these sessions, and to end one of them."""

from __future__ import annotations

from collections.abc import Callable

from medusa.protocol.http.head import Request
from medusa.protocol.session_id import parse_id
from medusa.reflector.admin.ending import NO_SESSION, Reserve, end_session
from medusa.reflector.admin.lists.list_answer import list_answer
from medusa.reflector.admin.lists.pages import Entry
from medusa.reflector.admin.lists.session_list import SessionList
from medusa.reflector.auth import access
from medusa.reflector.auth.access import Resource
from medusa.reflector.auth.authenticator import Authenticator, Grant
from medusa.reflector.config import ReflectorConfig
from medusa.reflector.net.accepted import Accepted
from medusa.reflector.net.http_response import Answer
from medusa.reflector.refusal import Refusal
from medusa.reflector.session_name import SessionName
from medusa.session import State, stage

_WITHOUT_AGENT = tuple(map(stage, (State.CLAIMED, State.WAITING)))
"""The states in which a session has a client and no agent."""


class OwnSessions:
    """Handles requests of users about their own sessions.

    Args:
        listing: lists and ends sessions.
        authenticator: checks signatures. None if the reflector has no accounts.
        reserve: reserves the signature of a request that ends a session; see SingleUse.reserve.
        count: counts a request under the address that it comes from; see Admission.count.
        count_login: counts a request that was signed for a login (an account); see Admission.count_login.
    """

    def __init__(
        self,
        config: ReflectorConfig,
        listing: SessionList,
        authenticator: Authenticator | None,
        reserve: Reserve,
        count: Callable[[str | None], None],
        count_login: Callable[[str], None],
    ) -> None:
        self._config = config
        self._listing = listing
        self._authenticator = authenticator
        self._reserve = reserve
        self._count = count
        self._count_login = count_login

    def sessions(self, accepted: Accepted, login: str) -> Answer:
        """Returns an answer with the sessions of the account `login`, or a page of them; see `list_answer`.

        The request must be signed with a key of the account or of one of its subusers.

        An entry does not say in which reflector the session lives: only administrators may see those addresses.

        A subuser does not see sessions that wait for an agent. A thief with the subuser's key could attach to such a
        session in place of the agent, if the list showed its id.

        Raises:
            Refusal: the signature is missing or wrong, or there were too many requests.
        """
        grant = self._check(accepted, login, lambda authenticator: authenticator.check_reader)
        assert accepted.request is not None

        def shown(entry: Entry) -> Entry | None:
            return None if _hidden(entry, grant) else _shown(entry)

        return list_answer(self._listing, accepted.request, login, shown)

    def session(self, accepted: Accepted, login: str, raw_id: str) -> Answer:
        """Ends a session of the account `login`, and returns the answer. A signature can end only one session.

        The request must be signed with a key of the account or of one of its subusers. If the list for this signer does
        not show the session, the request is refused as if there were no such session.

        Raises:
            Refusal: the signature is missing, wrong or used before, there is no such session, it cannot be ended, or
                there were too many requests.
        """
        grant = self._check(accepted, login, lambda authenticator: authenticator.check_owner)
        name = SessionName(parse_id(raw_id), login)
        if grant.key_id.user is not None and _hidden(self._listing.find(name), grant):
            raise Refusal(404, NO_SESSION)
        return end_session(accepted, name, self._listing, grant, self._reserve)

    def _check(
        self, accepted: Accepted, login: str, check: Callable[[Authenticator], Callable[[Request, str], Grant]]
    ) -> Grant:
        """Checks the signature of a request, and counts the request. Returns what the signature proves.

        Raises Refusal if the signature is missing or wrong, or if there were too many requests.

        Args:
            check: a function that gets the Authenticator, and returns the method of it to call for this kind of
                request.
        """
        access.check(Resource.SIGNED_ATTACH, accepted, self._config)
        assert accepted.request is not None
        assert self._authenticator is not None
        self._count(accepted.source)
        grant = check(self._authenticator)(accepted.request, login)
        self._count_login(login)
        return grant


def _hidden(entry: Entry | None, grant: Grant) -> bool:
    """Returns True if the signer of a request may not see the session of `entry`, or if `entry` is None.

    A subuser may not see a session that waits for an agent. `grant`: what the signature of the request proves.
    """
    return entry is None or (grant.key_id.user is not None and entry.get("state") in _WITHOUT_AGENT)


def _shown(entry: Entry) -> Entry:
    """Returns the entry of a session without the key `owner`."""
    return {key: value for key, value in entry.items() if key != "owner"}
