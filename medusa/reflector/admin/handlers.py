"""Handles the requests of administrators: metrics, a list of all users' sessions, and ending a session."""

from __future__ import annotations

from collections.abc import Callable

from medusa.protocol.session_id import parse_id
from medusa.reflector.admin.ending import NO_SESSION, Reserve, end_session
from medusa.reflector.admin.lists.list_answer import list_answer
from medusa.reflector.admin.lists.session_list import SessionList
from medusa.reflector.auth import access
from medusa.reflector.auth.access import Resource
from medusa.reflector.auth.authenticator import Authenticator, Grant
from medusa.reflector.config import ReflectorConfig
from medusa.reflector.metrics import Metrics
from medusa.reflector.net.accepted import Accepted
from medusa.reflector.net.http_response import Answer, json_answer
from medusa.reflector.refusal import Refusal
from medusa.reflector.session_name import SessionName


class Administration:
    """Handles the requests of administrators. Each method takes the connection of the request, and may raise Refusal.

    Args:
        listing: lists and ends sessions.
        metrics: the metrics of this worker.
        authenticator: checks signatures. None if the reflector has no accounts.
        reserve: reserves an administrator's signature; see SingleUse.reserve.
        count: counts a signed request under the address that it comes from; see Admission.count.
        workers_metrics: returns the metrics of the other workers as texts. None if there are no other workers.
    """

    def __init__(
        self,
        config: ReflectorConfig,
        listing: SessionList,
        metrics: Metrics,
        authenticator: Authenticator | None,
        reserve: Reserve,
        count: Callable[[str | None], None],
        workers_metrics: Callable[[], list[str]] | None = None,
    ) -> None:
        self._config = config
        self._listing = listing
        self._metrics = metrics
        self._authenticator = authenticator
        self._reserve = reserve
        self._count = count
        self._workers_metrics = workers_metrics

    def metrics(self, accepted: Accepted) -> Answer:
        """Returns an answer with the sums of the metrics of all workers, in Prometheus' text format."""
        self.check(Resource.METRICS, accepted)
        from medusa.reflector.admin.exposition import CONTENT_TYPE, exposition, summed  # takes long to import

        body = exposition(self._metrics.families())
        if self._workers_metrics is not None:
            body = summed([body.decode(), *self._workers_metrics()])
        return 200, [("Content-Type", CONTENT_TYPE)], body

    def sessions(self, accepted: Accepted) -> Answer:
        """Returns an answer with the sessions of all reflectors, or a page of them; see `list_answer`."""
        self.check(Resource.SESSIONS, accepted)
        assert accepted.request is not None
        return list_answer(self._listing, accepted.request)

    def session(self, accepted: Accepted, login: str | None, raw_id: str) -> Answer:
        """Handles a request for one session: GET returns its entry, DELETE ends the session."""
        assert accepted.request is not None
        ending = accepted.request.method == "DELETE"
        grant = self.check(Resource.ENDING if ending and login is None else Resource.SESSIONS, accepted)
        name = SessionName(parse_id(raw_id), login or "")
        if not ending:
            entry = self._listing.find(name)
            if entry is None:
                raise Refusal(404, NO_SESSION)
            return json_answer(entry)
        return end_session(accepted, name, self._listing, grant, self._reserve)

    def check(self, resource: Resource, accepted: Accepted) -> Grant | None:
        """Checks that the peer may use `resource`. Returns what its signature proves, or None if it needs no signature.

        Raises:
            Refusal: the peer may not use `resource`, or has sent too many signed requests in the last minute.
        """
        if access.check(resource, accepted, self._config):
            return None
        assert accepted.request is not None
        assert self._authenticator is not None
        self._count(accepted.source)
        return self._authenticator.check_admin(accepted.request)
