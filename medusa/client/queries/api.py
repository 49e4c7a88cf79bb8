"""Sends requests to a reflector's HTTP API, signed or not, and reads the JSON of the answers."""

from __future__ import annotations

import http.client
import io
import json
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from medusa.client.outcome import Failure
from medusa.protocol.http.own_header import has_authorization
from medusa.protocol.http.response import MAX_INTERIM, SWITCHING_PROTOCOLS, moved_to
from medusa.protocol.printable import printable
from medusa.transports.dial import ConnectRefused, Target, Untrusted, is_raw, open_socket, parse_url
from medusa.transports.dial.answer import remaining
from medusa.transports.dial.headers import NO_HEADERS, HeaderError, Headers

if TYPE_CHECKING:
    from medusa.client.keys.account import Account

TIMEOUT = 30.0
"""Seconds for a whole request. The reflector may have to ask other reflectors before it answers."""

NOT_AUTHORISED = (401, 403, 404)
"""The HTTP statuses by which a reflector refuses an account, or hides the sessions from it."""

NOT_FOUND = http.client.NOT_FOUND
"""The HTTP status for a path that means nothing, such as that of a session that has ended."""

MAX_ANSWER = 256 * 1024 * 1024
"""The maximum number of bytes that are read of an answer."""


PAGE_HEADER = "Medusa-Page"
"""The header field that says which page of a list is asked for. Earlier reflectors ignore it."""

NOTHING_MORE: Mapping[str, str] = MappingProxyType({})

PAGE = 5000
"""About how many sessions a reflector is asked for at a time."""


class NoAnswer(Failure):
    """The reflector refused a request, or gave no answer that can be used.

    Attributes:
        http_status: the HTTP status with which the reflector refused; None if it did not answer by HTTP.
        moved: the address to which the reflector redirects the request; None if the answer is no redirect.
    """

    def __init__(self, text: str, http_status: int | None = None, moved: str | None = None) -> None:
        super().__init__(text)
        self.http_status = http_status
        self.moved = moved


class Api:
    """A client of the HTTP API of the reflector at the URL `base`.

    Args:
        account: the account that signs requests. None to send requests without a signature. A reflector accepts these
            from its own host.
        insecure_tls: True to accept any TLS certificate.
        proxies: True to use the proxy that the environment names.
        headers: more header fields to send.
        find_account: a function that returns an account, or raises Failure if the account has no key. It is called if
            the reflector refuses a request without a signature. Then this account signs the requests. None if only
            `account` may sign.

    Attributes:
        name: the URL, printable.
    """

    def __init__(
        self,
        base: str,
        account: Account | None = None,
        *,
        insecure_tls: bool = False,
        proxies: bool = True,
        headers: Headers = NO_HEADERS,
        find_account: Callable[[], Account] | None = None,
    ) -> None:
        self._base = base.rstrip("/")
        self.account = account
        self._insecure, self._proxies, self._headers = insecure_tls, proxies, headers
        self._find_account, self._no_account = find_account, ""
        self.name = printable(self._base)
        try:
            self.target = parse_url(base)
        except ConnectRefused as error:
            raise NoAnswer(f"--reflector: {error}") from None
        if is_raw(base):
            words = "name the http:// or https:// URL of the reflector, or a session by its whole id"
            raise NoAnswer(f"{self.name}: raw TCP has no lists of sessions\n  {words} (mlogin: --session ID)")

    def ask(self, method: str, path: str, more: Mapping[str, str] = NOTHING_MORE) -> dict[str, Any]:
        """Sends a request, and returns the JSON object in the answer. Raises NoAnswer if there is none.

        If the reflector refuses the account's key, sends the request again, signed with the account's next key.

        `more`: header fields to send.
        """
        while True:
            response, body = self._send(method, path, more)
            if response.status == http.client.OK:
                break
            if response.status not in NOT_AUTHORISED or not self._sign_otherwise():
                moved = moved_to(response.status, response.getheader("Location"), self._base)
                raise self._refused(response.status, body, moved)
        self._find_account = None
        if self.account is not None:
            self.account.accepted()
        return self._parsed(body)

    def _sign_otherwise(self) -> bool:
        """Chooses another account or key to sign with, after a request was refused. Returns False if there is none.

        If requests were not signed yet, this is the account of `find_account`. Otherwise it is the account's next key.
        """
        if self.account is not None:
            return self.account.another_key()
        if self._find_account is None:
            return False
        try:
            self.account = self._find_account()
        except Failure as failure:
            self._no_account = str(failure)
        return self.account is not None

    def _send(self, method: str, path: str, more: Mapping[str, str]) -> tuple[http.client.HTTPResponse, bytes]:
        """Sends one request. Returns the response and its body, whatever its status is.

        Raises NoAnswer if there is no response.
        """
        headers = {"Host": self.target.netloc, "Connection": "close", **self._own_headers(), **more}
        if self.account is not None:
            headers.update(self.account.authorization(method, path, self.target.netloc))
        connection = _Connection(self.target, self._insecure, self._proxies)
        try:
            connection.request(method, self.target.target.rstrip("/") + path, headers=headers)
            response = connection.getresponse()
            return response, response.read(MAX_ANSWER)
        except Untrusted as error:
            hint = "SSL_CERT_FILE names a file of certificates to trust; --insecure-tls trusts any"
            raise NoAnswer(f"{self.name} is not trusted: {error}\n  {hint}") from None
        except (ConnectRefused, OSError, http.client.HTTPException) as error:
            raise NoAnswer(f"{self.name}: {printable(str(error) or type(error).__name__, 1000)}") from None
        finally:
            connection.hang_up()

    def _own_headers(self) -> dict[str, str]:
        try:
            fields = self._headers.read()
        except HeaderError as error:
            raise NoAnswer(str(error)) from None
        if self.account is not None and has_authorization(fields):
            raise NoAnswer("--header: Authorization is needed for the signature of this request")
        return dict(fields)

    def sessions(self, path: str) -> tuple[list[dict[str, Any]], str]:
        """Returns the whole list of sessions at `path`, and a text.

        The text says why the list is incomplete: other reflectors did not answer. It is "" if the list is complete.
        Raises NoAnswer if the reflector gives no list.
        """
        found, missing = [], ""
        for page, why in self.pages(path):
            found += page
            missing = why or missing
        return found, missing

    def pages(self, path: str, **query: str | None) -> Iterator[tuple[list[dict[str, Any]], str]]:
        """Yields the list of sessions at `path` in pages: each with a text that says why it is incomplete, or "".

        A reflector of an earlier version has only one page, and ignores `query`.

        Args:
            query: which sessions to list: `login`, or the beginning of their `id`. None: all.

        Raises NoAnswer if the reflector gives no list.
        """
        fields = {name: value for name, value in query.items() if value is not None} | {"limit": str(PAGE)}
        cursor: object = ""
        while cursor is not None:
            answer = self.ask("GET", path, {PAGE_HEADER: urllib.parse.urlencode(fields)})
            found, before, cursor = answer.get("sessions"), cursor, answer.get("next")
            if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
                raise NoAnswer(f"{self.name}: this is no list of sessions")
            if cursor == before or not isinstance(cursor, (str, type(None))):
                raise NoAnswer(f"{self.name}: the list has no end")
            yield found, printable(str(answer.get("missing", "")), 300)
            fields["cursor"] = cursor or ""

    def _parsed(self, body: bytes) -> dict[str, Any]:
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            raise NoAnswer(f"{self.name}: the answer is not a reflector's")
        return answer

    def _refused(self, status: int, body: bytes, moved: str | None) -> NoAnswer:
        why = printable(body.decode("utf-8", "replace").strip().partition("\n")[0], 300)
        text = f"{self.name} refuses (HTTP status {status}): {why or 'no reason given'}"
        if moved is not None:
            text += f"\n  it leads to {moved}, and redirects are not followed: --reflector may name that place"
        elif status in NOT_AUTHORISED:
            lines = [f"  {line}" for line in self._no_account.splitlines()]
            if self.account is not None:
                lines = self.account.to_check(self.target.netloc, why)
            text = "\n".join([text, *lines])
        return NoAnswer(text, status, moved)


class _Response(http.client.HTTPResponse):
    """An HTTP response that skips all interim responses before it, such as 103.

    The base class skips only those with the status 100.
    """

    def begin(self) -> None:
        """Reads the head of the response, after all interim responses.

        Raises http.client.HTTPException if more than MAX_INTERIM interim responses come before it.
        """
        for _ in range(MAX_INTERIM + 1):
            super().begin()
            if self.status >= 200 or self.status == SWITCHING_PROTOCOLS:
                return
            self.headers: Any = None  # otherwise the next call does nothing
        raise http.client.HTTPException(f"more than {MAX_INTERIM} interim answers")


class _Connection(http.client.HTTPConnection):
    """An HTTP connection to a reflector, with the same proxies and TLS settings as mlogin's own connection.

    Call `hang_up` at the end.
    """

    response_class = _Response

    def __init__(self, target: Target, insecure_tls: bool, proxies: bool) -> None:
        super().__init__(target.host, target.port)
        self._target, self._insecure, self._proxies = target, insecure_tls, proxies
        self._socket: _Socket | None = None

    def connect(self) -> None:
        deadline = time.monotonic() + TIMEOUT
        sock = open_socket(self._target, self._insecure, deadline, proxies=self._proxies)
        self._socket = _Socket(sock, deadline)
        self.sock: Any = self._socket

    def hang_up(self) -> None:
        """Closes the connection. Call this after the answer was read.

        HTTPConnection calls `_Socket.close` itself, but before the answer was read. So that method does nothing.
        """
        if self._socket is not None:
            self._socket.sock.close()


class _Socket(io.RawIOBase):
    """A socket with the methods that HTTPConnection calls. All calls together must end before one deadline."""

    def __init__(self, sock: Any, deadline: float) -> None:
        self.sock, self._deadline = sock, deadline

    def sendall(self, data: bytes) -> None:
        self.sock.settimeout(remaining(self._deadline))
        self.sock.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def close(self) -> None:
        """Does nothing: HTTPConnection calls this method too early. `_Connection.hang_up` closes the socket."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self.sock.settimeout(remaining(self._deadline))
        data = self.sock.recv(len(buffer))
        buffer[: len(data)] = data
        return len(data)
