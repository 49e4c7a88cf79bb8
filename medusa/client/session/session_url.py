"""Makes the URLs at which mlogin and the agent attach to a session.

A reflector's internal API needs no signature. A front door (a reflector's port for signed requests) does.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from medusa.client.outcome import Failure
from medusa.protocol import attach_path
from medusa.protocol.printable import printable
from medusa.protocol.record import record
from medusa.protocol.resume.offer import KEEP
from medusa.transports.dial import ConnectRefused, NoTls, Untrusted, is_raw, parse_url

if TYPE_CHECKING:
    from medusa.client.keys.account import Account

NOT_AUTHORISED = (401, 403, 404)
"""The HTTP statuses by which a reflector's front door rejects the account, or hides the session from this account."""

TAKEN = 409
"""The HTTP status if the session has a client already, perhaps one whose link is lost and not closed yet."""

JOINING = {
    403: "the session belongs to another account",
    404: "the session has ended, or belongs to another account; `medusa ls` lists yours",
    409: "more clients may join while a session is in use, if its agent and its reflector are of this version or newer",
    503: "it has as many clients as it may have, or the reflector is busy: try again when one of them has ended",
    504: "its agent did not answer: the job may be suspended, or its machine busy",
}
"""HTTP status -> why a client cannot join a session, and what to do. The reflector's own words stand before it."""

_FIRST_REFUSAL = 400
"""A reflector that refuses sends this HTTP status or a higher one. A lower one comes from another kind of server."""

_MAX_REASON = 1000
"""The most characters that are shown of the reason why mlogin cannot attach. It may name many addresses of a host."""

CLIENT_LIFETIME = 30
"""Seconds for which a URL that mlogin signs for itself is valid, at least. It is valid for up to twice as long.

The exact time is random. Otherwise two URLs that are made within one second would have the same signature, and a
reflector accepts a signature only once.
"""


@record
class SessionUrl:
    """The address of one session at one reflector.

    Attributes:
        base: the reflector's URL: http, https, ws, wss or tcp. If it has a path, a proxy removes this path before it
            passes a request on. So signatures do not cover the path.
        session: the session's id.
        account: the account that signs requests; None if the reflector needs no signature.
        unsigned: the error with which the reflector refused a request without a signature; "" if there was no such
            request.
        joins: True if mlogin joins a session that runs already, as one more client.
        name: the name that the user gives the session; None if it has none.
        keep: for how many seconds mlogin tries to come back after its link is lost. 0: the session ends with the link.
    """

    base: str
    session: str
    account: Account | None = None
    unsigned: str = ""
    joins: bool = False
    name: str | None = None
    keep: int = KEEP

    def client_url(self, *, presigned: bool = False) -> tuple[str, list[tuple[str, str]]]:
        """Returns the URL and the header fields with which mlogin attaches. Use them at once: signatures expire.

        `presigned`: True to put the signature into the URL, because the user's header fields already have
        Authorization.
        """
        path = self.path(attach_path.CLIENT)
        if self.account and (presigned or is_raw(self.base)):  # raw TCP has no header fields
            lifetime = CLIENT_LIFETIME + secrets.randbelow(CLIENT_LIFETIME)
            return self.account.presign(self.base, path, lifetime, nonce=self.joins), []
        headers = self.account.authorization("GET", path, parse_url(self.base).netloc) if self.account else []
        return self.base.rstrip("/") + path, headers

    def agent_url(self, lifetime: float) -> str:
        """Returns the URL at which the agent attaches. A signed URL is valid for `lifetime` seconds from now."""
        path = self.path(attach_path.AGENT)
        return self.account.presign(self.base, path, lifetime) if self.account else self.base.rstrip("/") + path

    def path(self, side: str) -> str:
        """Returns the path of the URL at which the client or the agent attaches.

        `side`: attach_path.CLIENT or attach_path.AGENT.
        """
        return attach_path.build(self.session, side, self.account.login if self.account else "")

    def refused(self, error: ConnectRefused) -> Failure:
        """Returns the exception that tells the user why mlogin cannot attach, and what to do about it."""
        protocol = "" if is_raw(self.base) else "HTTP "
        status = f" ({protocol}status {error.status})" if error.status else ""
        lines = [f"cannot attach to {printable(self.base)}{status}: {printable(str(error), _MAX_REASON)}"]
        if self.joins and error.status in JOINING:
            lines += [f"  {JOINING[error.status]}"]
        if error.status in NOT_AUTHORISED:
            lines += self._authorisation_advice(str(error))
        elif error.status == TAKEN and not self.joins:
            join = f"medusa exec {printable(self.session)}"
            lines += [f"  another mlogin is in that session, or waits there; to join it: {join}"]
        elif isinstance(error, Untrusted):
            lines += ["  SSL_CERT_FILE names a file of certificates to trust; --insecure-tls trusts any"]
        elif isinstance(error, NoTls):
            lines += [f"  if a reflector without TLS runs there: --reflector {printable(_plain(self.base))}"]
        elif error.moved_to is not None:
            lines += self._address_advice(error.moved_to)
        elif error.status is None or error.status < _FIRST_REFUSAL:
            lines += ["  check the address, and that a reflector runs there and can be reached from here"]
        return Failure("\n".join(lines))

    def _address_advice(self, moved_to: str) -> list[str]:
        """Returns lines that tell the user which --reflector to use, after a redirect to the URL `moved_to`.

        Returns no lines if `moved_to` does not end with the path of this session, because the address is unknown then.
        """
        base, path, rest = moved_to.partition(self.path(attach_path.CLIENT))
        return (
            [f"  a proxy sends you elsewhere; if you trust that place: --reflector {base}"] if path and not rest else []
        )

    def _authorisation_advice(self, reason: str) -> list[str]:
        if self.account is None:
            return ["  a front door? Say who you are by --account and --key"]
        unsigned = [f"  without a signature: {printable(self.unsigned, _MAX_REASON)}"] if self.unsigned else []
        return [*unsigned, *self.account.to_check(parse_url(self.base).netloc, reason)]


def _plain(base: str) -> str:
    """Returns the URL `base` with the scheme for connections without TLS."""
    scheme, _, rest = base.partition("://")
    return f"{scheme.lower().removesuffix('s')}://{rest}"


def archive_url(base: str) -> str | None:
    """Returns the HTTP URL of the agent's archive at the reflector. None if `base` is a tcp URL, which has no HTTP."""
    if is_raw(base):
        return None
    scheme, _, rest = base.rstrip("/").partition("://")
    return f"{scheme.lower().replace('ws', 'http')}://{rest}/agent.sh"
