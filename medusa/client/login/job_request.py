"""Makes the request for the job that is to run the agent."""

from __future__ import annotations

from medusa.client.launchers.base import JobRequest
from medusa.client.login.preparation import job_environ
from medusa.client.session.reconnect import Dialer
from medusa.client.session.session_url import archive_url
from medusa.client.settings import Settings
from medusa.transports.dial import parse_url


def job_request(settings: Settings, dialer: Dialer) -> JobRequest:
    """Returns the request for a job whose agent attaches to the session of `dialer`."""
    base = dialer.url.base
    return JobRequest(
        session_url=dialer.url.agent_url,
        archive_url=archive_url(base),
        insecure_tls=settings.insecure_tls,
        environ=job_environ(embedded=dialer.embedded),
        headers=dialer.sent_headers,
        embedded=parse_url(base).port if dialer.embedded else None,
    )
