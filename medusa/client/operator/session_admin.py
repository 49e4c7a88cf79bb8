"""Lists and ends the sessions of all accounts, through a reflector's HTTP API for administrators."""

from __future__ import annotations

import http.client
import json
import ssl
import time
import urllib.parse
from typing import Any

from medusa.client.keys.account import Account
from medusa.client.outcome import Failure
from medusa.protocol.http.response import moved_to
from medusa.protocol.printable import printable
from medusa.transports.dial import ConnectRefused, Target, parse_url
from medusa.transports.dial.tcp import connect_tcp
from medusa.transports.tls import client_context

TIMEOUT = 30.0
"""Seconds for each read or write. The reflector may have to ask other reflectors before it answers."""

MAX_ANSWER = 256 * 1024 * 1024
"""The maximum number of bytes that are read of an answer."""

Entry = dict[str, Any]
"""The description of one session, in the form of the reflector's JSON."""


class _Connection(http.client.HTTPConnection):
    """A connection to a reflector, dialled in the same way as by mlogin.

    It never uses a proxy, because the reflector usually runs on this host.
    """

    def __init__(self, target: Target, insecure_tls: bool) -> None:
        super().__init__(target.host, target.port, timeout=TIMEOUT)
        self._target = target
        self._insecure = insecure_tls

    def connect(self) -> None:
        self.sock = connect_tcp(self.host, self.port, time.monotonic() + TIMEOUT)
        self.sock.settimeout(TIMEOUT)
        if self._target.secure:
            context = client_context(self._insecure)
            self.sock = context.wrap_socket(self.sock, server_hostname=self._target.certified)


class Administrator:
    """A client of the administrators' API of the reflector at `base`.

    Args:
        base: the reflector's URL.
        account: the account that signs requests. None to send them unsigned: the reflector's own host may do that.
        insecure_tls: True to accept any TLS certificate.

    Attributes:
        missing: why the last list of sessions is incomplete, such as a reflector that did not answer. Empty if the
            list is complete.
    """

    missing = ""

    def __init__(self, base: str, account: Account | None = None, *, insecure_tls: bool = False) -> None:
        self._base = base.rstrip("/")
        self._account = account
        try:
            self._target = parse_url(base)
        except ConnectRefused as error:
            raise Failure(f"--reflector: {error}") from None
        self._insecure = insecure_tls

    def sessions(self) -> list[Entry]:
        """Returns all sessions. If some reflectors did not answer, `missing` says so. Raises Failure."""
        answer = self._ask("GET", "/sessions")
        found = answer.get("sessions")
        if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
            raise Failure(f"{self._name}: this is no list of sessions")
        self.missing = printable(str(answer.get("missing", "")), 300)
        return found

    def find(self, session: str, login: str | None) -> Entry:
        """Returns the description of the session with the id `session`, or with the only id that begins so.

        Args:
            login: the account that the session must belong to; None for any account.

        Raises:
            Failure: there is no such session, or there are several, or the reflector did not answer.
        """
        wanted = session.strip().lower()
        known = [e for e in self.sessions() if login in (None, e.get("login") or "")]
        found = [e for e in known if e.get("id") == wanted]
        found = found or [e for e in known if wanted and str(e.get("id")).startswith(wanted)]
        if not found:
            where = f" here; other reflectors' are missing: {self.missing}" if self.missing else ""
            raise Failure(f"there is no session {printable(session)}{where}")
        if len({e.get("id") for e in found}) > 1:
            raise Failure(f"{len(found)} sessions have an id that begins with {printable(session)}: type more of it")
        if len(found) > 1:
            owners = ", ".join(printable(str(entry.get("login") or "nobody")) for entry in found)
            raise Failure(f"several sessions have this id, of {owners}: say whose by --login")
        return found[0]

    def kill(self, entry: Entry) -> None:
        """Ends a session. `entry`: its description from `sessions` or `find`. Raises Failure."""
        quoted = urllib.parse.quote(str(entry["id"]), safe="-_.~:@+")
        login = f"{entry['login']}/" if entry.get("login") else ""
        self._ask("DELETE", f"/sessions/{login}{quoted}")

    @property
    def _name(self) -> str:
        return printable(self._base)

    def _ask(self, method: str, path: str) -> dict[str, Any]:
        target = self._target
        headers = {"Host": target.netloc}
        if self._account is not None:
            headers.update(self._account.authorization(method, path, target.netloc))
        connection = _Connection(target, self._insecure)
        try:
            connection.request(method, target.target.rstrip("/") + path, headers=headers)
            response = connection.getresponse()
            body = response.read(MAX_ANSWER)
        except ssl.SSLCertVerificationError as error:
            hint = "SSL_CERT_FILE names a file of certificates to trust; -i trusts any"
            raise Failure(f"{self._name} is not trusted ({error.verify_message})\n  {hint}") from None
        except (ConnectRefused, OSError, http.client.HTTPException) as error:
            raise Failure(f"{self._name}: {printable(str(error) or type(error).__name__, 1000)}") from None
        finally:
            connection.close()
        if response.status != http.client.OK:
            moved = moved_to(response.status, response.getheader("Location"), self._base)
            raise self._refused(response.status, body, moved)
        try:
            answer = json.loads(body)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise Failure(f"{self._name}: the answer is not a reflector's")
        return answer

    def _refused(self, status: int, body: bytes, moved: str | None) -> Failure:
        why = printable(body.decode("utf-8", "replace").strip().partition("\n")[0], 300)
        lines = [f"{self._name} refuses (HTTP status {status}): {why or 'no reason given'}"]
        if moved is not None:
            lines.append(f"  it leads to {moved}, and redirects are not followed: --reflector may name that place")
        elif status in (401, 403, 404) and self._account is None:
            lines.append(
                "  ask on the reflector's own host, or sign with the key of one of its --admins: --account, --key"
            )
        elif status in (401, 403, 404) and self._account is not None:
            lines += self._account.to_check(self._target.netloc)
        return Failure("\n".join(lines))
