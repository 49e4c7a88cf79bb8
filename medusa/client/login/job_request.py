"""Makes the request for the job that is to run the agent."""

from __future__ import annotations

import os

from medusa.client.launchers.base import JobRequest
from medusa.client.session.reconnect import Dialer
from medusa.client.session.session_url import archive_url
from medusa.client.settings import Settings
from medusa.transports.dial import parse_url

_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


def job_request(settings: Settings, dialer: Dialer) -> JobRequest:
    """Returns the request for a job whose agent attaches to the session of `dialer`.

    The agent gets the proxies of this machine, unless the reflector runs here.
    """
    proxies = {name: value for name, value in os.environ.items() if name.lower() in _PROXIES}
    base = dialer.url.base
    return JobRequest(
        session_url=dialer.url.agent_url,
        archive_url=archive_url(base),
        insecure_tls=settings.insecure_tls,
        environ={} if dialer.embedded else proxies,
        headers=dialer.sent_headers,
        embedded=parse_url(base).port if dialer.embedded else None,
    )
