"""Where the two sides of a session dial in: a reflector's internal API, or a front door that wants to know who asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from medusa.client.outcome import Failure
from medusa.protocol import attach_path
from medusa.protocol.printable import printable
from medusa.transports.dial import ConnectRefused, Untrusted, is_raw, parse_url

if TYPE_CHECKING:
    from medusa.client.keys.account import Account

_WHO_ASKS = (401, 403, 404)
TAKEN = 409
"""The session has a client, perhaps one whose link the reflector has not let go of yet."""

_REFUSALS = 400
"""A lower status is that of a server for something else."""

CLIENT_LIFETIME = 60.0
"""Seconds that a URL which mlogin signs for itself is good for."""


@dataclass(frozen=True)
class SessionUrl:
    """The way to one session.

    Attributes:
        base: http, https, ws, wss or tcp URL. A path in it belongs to a proxy that takes it off again, and is not
            signed.
        account: whose front door; None for the internal API, which asks nobody.
    """

    base: str
    session: str
    account: Account | None = None

    def client_url(self) -> tuple[str, list[tuple[str, str]]]:
        """URL and header fields of the user's side, signed now."""
        path = self.path(attach_path.CLIENT)
        if self.account and is_raw(self.base):  # which has no header fields
            return self.account.presign(self.base, path, CLIENT_LIFETIME), []
        headers = self.account.authorization("GET", path, parse_url(self.base).netloc) if self.account else []
        return self.base.rstrip("/") + path, headers

    def agent_url(self, lifetime: float) -> str:
        """The URL of the agent's side; where it is signed, it is good for `lifetime` seconds from now."""
        path = self.path(attach_path.AGENT)
        return self.account.presign(self.base, path, lifetime) if self.account else self.base.rstrip("/") + path

    def path(self, side: str) -> str:
        """`side` as the route names it."""
        return attach_path.build(self.session, side, self.account.login if self.account else "")

    def refused(self, error: ConnectRefused) -> Failure:
        """Why the user's side is not let in, and what can be done about it."""
        protocol = "" if is_raw(self.base) else "HTTP "
        status = f" ({protocol}status {error.status})" if error.status else ""
        lines = [f"cannot attach to {printable(self.base)}{status}: {printable(str(error))}"]
        if error.status in _WHO_ASKS:
            lines += self._who_asked()
        elif error.status == TAKEN:
            lines += ["  another mlogin is in that session or waits there: end it, or use another session"]
        elif isinstance(error, Untrusted):
            lines += ["  SSL_CERT_FILE names a file of certificates to trust; -i trusts any"]
        elif error.status is None or error.status < _REFUSALS:
            lines += ["  check the address, and that a reflector runs there and can be reached from here"]
        return Failure("\n".join(lines))

    def _who_asked(self) -> list[str]:
        if self.account is None:
            return ["  a front door? Say who you are by --account and --key"]
        return self.account.to_check(parse_url(self.base).netloc)


def archive_url(base: str) -> str | None:
    """Where the reflector serves the agent's archive: plain HTTP, also beside a URL for websockets. None where only
    raw TCP is known of it."""
    if is_raw(base):
        return None
    scheme, _, rest = base.rstrip("/").partition("://")
    return f"{scheme.lower().replace('ws', 'http')}://{rest}/agent.sh"
