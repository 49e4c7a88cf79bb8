"""What is for who runs the reflector: the numbers, the sessions of everybody, and their end."""

from __future__ import annotations

import ipaddress
import urllib.parse
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from medusa.protocol.session_id import parse_id
from medusa.reflector.admin.aggregate import summed
from medusa.reflector.admin.session_list import Listing
from medusa.reflector.auth.authenticator import Authenticator, Grant, denied
from medusa.reflector.config import ReflectorConfig
from medusa.reflector.metrics import CONTENT_TYPE, Metrics
from medusa.reflector.net.http_response import Answer, json_answer
from medusa.reflector.refusal import Refusal
from medusa.reflector.session_name import SessionName

if TYPE_CHECKING:
    from medusa.reflector.fronts.http_front import Handler

log = structlog.get_logger(component="admin")


class Administration:
    """Its routes.

    Args:
        check_internal: raises Refusal for who is not of this host, or of a network that is trusted.
        spend: Doors.spend.
        workers_metrics: gives the expositions of the other workers; None where there are none.
    """

    def __init__(
        self,
        config: ReflectorConfig,
        listing: Listing,
        metrics: Metrics,
        authenticator: Authenticator | None,
        check_internal: Callable[[Handler], None],
        spend: Callable[[Authenticator, Grant], None],
        workers_metrics: Callable[[], list[str]] | None = None,
    ) -> None:
        self._workers_metrics = workers_metrics
        self._config = config
        self._listing = listing
        self._metrics = metrics
        self._authenticator = authenticator
        self._check_internal = check_internal
        self._spend = spend

    def metrics(self, handler: Handler) -> Answer:
        """For Prometheus."""
        self.check(handler)
        body = self._metrics.exposition()
        if self._workers_metrics is not None:
            body = summed([body.decode(), *self._workers_metrics()])
        return 200, [("Content-Type", CONTENT_TYPE)], body

    def sessions(self, handler: Handler) -> Answer:
        """All of them; where those of other reflectors cannot be found out, those here, and why."""
        self.check_listed(handler)
        try:
            return json_answer({"sessions": self._listing.entries()})
        except Refusal as error:
            return json_answer({"sessions": self._listing.here(), "missing": str(error)})

    def session(self, handler: Handler, login: str | None, raw_id: str) -> Answer:
        """One: to look at, or to DELETE."""
        by = self.check_listed(handler)
        assert handler.request is not None
        name = SessionName(parse_id(raw_id), login or "")
        if handler.request.method != "DELETE":
            entry = self._listing.find(name)
            if entry is None:
                raise Refusal(404, "there is no such session")
            return json_answer(entry)
        if handler.request.headers.get("origin") is not None:
            raise denied(403, "web pages may not end sessions")
        if not self._listing.kill(name):
            raise Refusal(404, "there is no such session")
        log.warning("session killed", session=name.session_id, login=login, by=by or handler.peer)
        return json_answer({"killed": True})

    def check_listed(self, handler: Handler) -> str:
        """As `check`; nobody else than an admin may where sessions are not to be listed."""
        by = self.check(handler)
        if not by and self._config.no_status:
            raise Refusal(404, "there is nothing at this path")
        return by

    def check(self, handler: Handler) -> str:
        """Who it is: an admin's login, or "" for this host. Raises Refusal."""
        assert handler.request is not None
        headers = handler.request.headers
        if self._authenticator is not None and headers.get("authorization") is not None:
            grant = self._authenticator.check_admin(handler.request)
            if handler.request.method not in ("GET", "HEAD"):
                self._spend(self._authenticator, grant)
            return grant.key_id.login
        self._check_internal(handler)
        # A web page may have a name of its own lead to this host, and read what this answers.
        if not self._config.trusted_network and not is_this_host(headers.get("host") or ""):
            raise Refusal(403, "ask for this by the host's address, or as localhost")
        return ""


def is_this_host(host: str) -> bool:
    """Whether a Host header has an address, or localhost: what no name server can make to be another host."""
    try:
        name = urllib.parse.urlsplit("//" + host).hostname or ""
        return name == "localhost" or bool(ipaddress.ip_address(name))
    except ValueError:
        return False
