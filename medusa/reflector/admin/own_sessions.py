"""Handles the requests of users for the list of their own sessions."""

from __future__ import annotations

from collections.abc import Callable

from medusa.reflector.admin.session_list import Entry, SessionList
from medusa.reflector.auth import access
from medusa.reflector.auth.access import Resource
from medusa.reflector.auth.authenticator import Authenticator
from medusa.reflector.config import ReflectorConfig
from medusa.reflector.net.accepted import Accepted
from medusa.reflector.net.http_response import Answer, json_answer
from medusa.session import State, stage

_WITHOUT_AGENT = tuple(map(stage, (State.CLAIMED, State.WAITING)))
"""The states in which a session has a client and no agent."""


class OwnSessions:
    """The handler of the requests of users for the list of their own sessions.

    Args:
        authenticator: checks signatures. None if the reflector has no accounts.
        count: counts a request under the address that it comes from; see Admission.count.
        count_login: counts a request that was signed for a login (an account); see Admission.count_login.
    """

    def __init__(
        self,
        config: ReflectorConfig,
        listing: SessionList,
        authenticator: Authenticator | None,
        count: Callable[[str | None], None],
        count_login: Callable[[str], None],
    ) -> None:
        self._config = config
        self._listing = listing
        self._authenticator = authenticator
        self._count = count
        self._count_login = count_login

    def sessions(self, accepted: Accepted, login: str) -> Answer:
        """Returns the sessions of the account `login`, in the form of `SessionList.whole`.

        The request must be signed with a key of the account or of one of its subusers.

        The entries do not have the key `owner`, because only administrators may see the addresses inside a site.

        A subuser does not see sessions that wait for an agent. With the id of such a session, and a subuser's key
        stolen from a CI system, a stranger could attach in place of the agent.

        Raises:
            Refusal: the signature is missing or wrong, or there were too many requests.
        """
        access.check(Resource.SIGNED_ATTACH, accepted, self._config)
        assert accepted.request is not None
        assert self._authenticator is not None
        self._count(accepted.source)
        grant = self._authenticator.check_reader(accepted.request, login)
        self._count_login(login)
        whole = self._listing.whole(login)
        hidden = _WITHOUT_AGENT if grant.key_id.user is not None else ()
        whole["sessions"] = [_shown(entry) for entry in whole["sessions"] if entry.get("state") not in hidden]
        return json_answer(whole)


def _shown(entry: Entry) -> Entry:
    """Returns the entry of a session without its owner."""
    return {key: value for key, value in entry.items() if key != "owner"}
