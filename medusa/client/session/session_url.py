"""The URLs at which the two sides of a session attach: of a reflector's internal API, or signed for a front door."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from medusa.client.outcome import Failure
from medusa.protocol import attach_path
from medusa.protocol.printable import printable
from medusa.transports.dial import ConnectRefused, Untrusted, is_raw, parse_url

if TYPE_CHECKING:
    from medusa.client.keys.account import Account

_NOT_AUTHORISED = (401, 403, 404)
"""HTTP statuses of a front door that does not accept the account, or hides the session from it."""

TAKEN = 409
"""HTTP status: the session has a client, perhaps one whose link the reflector has not released yet."""

_FIRST_REFUSAL = 400
"""The lowest HTTP status that a reflector refuses with. A lower one comes from another kind of server."""

CLIENT_LIFETIME = 60.0
"""Seconds for which a URL that mlogin signs for itself is valid."""


@dataclass(frozen=True)
class SessionUrl:
    """One session at one reflector.

    Attributes:
        base: http, https, ws, wss or tcp URL. A path in it is for a proxy that removes it, so it is not signed.
        session: its id.
        account: signs the requests to a front door; None for the internal API, which needs no signature.
    """

    base: str
    session: str
    account: Account | None = None

    def client_url(self) -> tuple[str, list[tuple[str, str]]]:
        """URL and header fields with which the client attaches, signed now: dial them at once."""
        path = self.path(attach_path.CLIENT)
        if self.account and is_raw(self.base):  # raw TCP has no header fields
            return self.account.presign(self.base, path, CLIENT_LIFETIME), []
        headers = self.account.authorization("GET", path, parse_url(self.base).netloc) if self.account else []
        return self.base.rstrip("/") + path, headers

    def agent_url(self, lifetime: float) -> str:
        """The URL at which the agent attaches. If it is signed, it is valid for `lifetime` seconds from now."""
        path = self.path(attach_path.AGENT)
        return self.account.presign(self.base, path, lifetime) if self.account else self.base.rstrip("/") + path

    def path(self, side: str) -> str:
        """The path of one side, as attach_path names it."""
        return attach_path.build(self.session, side, self.account.login if self.account else "")

    def refused(self, error: ConnectRefused) -> Failure:
        """The error for the user: why the client cannot attach, and what the user can do about it."""
        protocol = "" if is_raw(self.base) else "HTTP "
        status = f" ({protocol}status {error.status})" if error.status else ""
        lines = [f"cannot attach to {printable(self.base)}{status}: {printable(str(error))}"]
        if error.status in _NOT_AUTHORISED:
            lines += self._authorisation_advice()
        elif error.status == TAKEN:
            lines += ["  another mlogin is in that session or waits there: end it, or use another session"]
        elif isinstance(error, Untrusted):
            lines += ["  SSL_CERT_FILE names a file of certificates to trust; -i trusts any"]
        elif error.status is None or error.status < _FIRST_REFUSAL:
            lines += ["  check the address, and that a reflector runs there and can be reached from here"]
        return Failure("\n".join(lines))

    def _authorisation_advice(self) -> list[str]:
        if self.account is None:
            return ["  a front door? Say who you are by --account and --key"]
        return self.account.to_check(parse_url(self.base).netloc)


def archive_url(base: str) -> str | None:
    """Where the reflector at `base` serves the agent's archive, as an HTTP URL; None if `base` is for raw TCP only."""
    if is_raw(base):
        return None
    scheme, _, rest = base.rstrip("/").partition("://")
    return f"{scheme.lower().replace('ws', 'http')}://{rest}/agent.sh"
