"""Sends signed HTTP requests to a Manta, with the package `requests`.

Proxies and CA bundles come from the environment variables that `requests` knows. Credentials in ~/.netrc are ignored.
The retries of urllib3 are not used: each try needs a new signature, and the error code is in the body of the answer.
"""

from __future__ import annotations

import ssl
import threading
import time
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import requests
import urllib3
from requests.adapters import HTTPAdapter

from medusa import __version__
from medusa.client.cleanup.signed_request import SignedRequest
from medusa.client.launchers.manta.errors import Failed, MantaError, no_answer, refusal
from medusa.client.timeouts import DEFAULT_TIMEOUTS, MantaTimeouts
from medusa.protocol.printable import printable
from medusa.transports.tls import client_context

MAX_ANSWER = 16 * 1024 * 1024
"""Bytes in the body of an answer, at most."""

_USER_AGENT = f"medusa/{__version__}"


class Signing(Protocol):
    """The type of an object that signs requests. medusa.client.keys.account.Account is one."""

    @property
    def login(self) -> str: ...

    def authorization(self, method: str, target: str, host: str) -> list[tuple[str, str]]:
        """Signs one request. Returns the header fields with the signature."""


class Answer(NamedTuple):
    """The answer to a successful request: its status was 2xx."""

    headers: Mapping[str, str]
    body: bytes


class MantaHttp:
    """Sends requests to one Manta, each on a new connection. Any thread may use it.

    Args:
        url: the address of the Manta: scheme (default: https), host and port, nothing else.
        account: signs the requests. None: requests are not signed.
        sleep: a function that waits before a retry. Its argument is in seconds.
        max_answer: the maximum number of bytes in the body of an answer.

    Raises:
        MantaError: `url` does not have this form.
    """

    def __init__(
        self,
        url: str,
        account: Signing | None,
        insecure_tls: bool,
        timeouts: MantaTimeouts = DEFAULT_TIMEOUTS.manta,
        sleep: Callable[[float], object] = time.sleep,
        max_answer: int = MAX_ANSWER,
    ) -> None:
        self._base = _base(url)
        self._host = urllib.parse.urlsplit(self._base).netloc
        self._account = account
        self._insecure = insecure_tls
        self._timeouts = timeouts
        self._sleep = sleep
        self._max_answer = max_answer
        self._signing = threading.Lock()  # an ssh-agent answers one request at a time
        self._tls = client_context(insecure_tls)
        if insecure_tls:
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)

    def request(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        idempotent: bool | None = None,
    ) -> Answer:
        """Sends a request and returns the answer. Tries again after temporary failures.

        Args:
            path: the path, percent-encoded by `encoded`.
            idempotent: True if the request may be sent twice without harm. Then it is retried even if an earlier try
                may have reached the Manta. None means True for every method except POST.

        Raises:
            MantaError: all tries failed, or a failure is not temporary.
        """
        idempotent = method != "POST" if idempotent is None else idempotent
        what = f"{method} {printable(urllib.parse.unquote(path))}"
        for interval in (*self._timeouts.retry_intervals, None):
            result = self._try(what, method, path, body, headers or {})
            if isinstance(result, Answer):
                return result
            if interval is None or not (result.unsent or (idempotent and result.temporary)):
                break
            self._sleep(interval)
        assert isinstance(result, Failed)
        raise result.error

    def prepare(self, method: str, path: str) -> SignedRequest:
        """Returns a signed request that another process can send. `path`: the path, percent-encoded by `encoded`."""
        headers = {"Accept": "application/json", "Content-Type": "application/json", "User-Agent": _USER_AGENT}
        if self._account is not None:
            with self._signing:
                headers.update(self._account.authorization(method, path, self._host))
        return SignedRequest(method, self._base + path, headers, self._insecure)

    def _try(self, what: str, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer | Failed:
        common = {"Accept-Encoding": "identity", "Connection": "close", "User-Agent": _USER_AGENT}
        try:
            with (
                self._session() as session,
                session.request(
                    method,
                    self._base + path,
                    data=body,
                    headers={**common, **headers},
                    auth=self._sign,  # without it, requests would take credentials from ~/.netrc
                    timeout=(self._timeouts.connect_timeout, self._timeouts.silence_timeout),
                    allow_redirects=False,
                    stream=True,
                    verify=not self._insecure,
                ) as response,
            ):
                content = self._read(what, response)
        except (OSError, ValueError, urllib3.exceptions.HTTPError) as error:
            return no_answer(f"{what}: {self._host}", error)
        if isinstance(content, Failed):
            return content
        if not 200 <= response.status_code < 300:
            return refusal(what, response, content)
        return Answer(response.headers, content)

    def _session(self) -> requests.Session:
        """Returns a new session of the package `requests`, for one request.

        With a session for each request, threads share nothing, and no cookies are kept.
        """
        session = requests.Session()
        for scheme in ("http://", "https://"):
            session.mount(scheme, _Adapter(self._tls))
        return session

    def _sign(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Host"] = self._host
        if self._account is not None:
            with self._signing:
                fields = self._account.authorization(request.method or "", request.path_url, self._host)
            request.headers.update(fields)
        return request

    def _read(self, what: str, response: requests.Response) -> bytes | Failed:
        """Reads the body of an answer and returns it. Returns Failed if it is too large, or takes too long.

        The limit is `answer_timeout` seconds for the whole body. It is needed for a body that arrives in small pieces,
        because the timeout between two pieces never expires then.
        """
        limit, timeout = self._max_answer, self._timeouts.answer_timeout
        content, deadline = bytearray(), time.monotonic() + timeout
        for piece in response.iter_content(65536):
            content += piece
            if len(content) > limit:
                return Failed(MantaError(f"{what}: an answer of more than {limit} bytes", response.status_code))
            if time.monotonic() > deadline:
                return Failed(MantaError(f"{what}: no end of the answer after {timeout:g} s", response.status_code))
        return bytes(content)


def encoded(path: str) -> str:
    """Percent-encodes a path in Manta, and returns it. Each part is encoded as by JavaScript's encodeURIComponent."""
    return urllib.parse.quote(path.encode("utf-8", "surrogateescape"), safe="/!'()*")


class _Adapter(HTTPAdapter):
    """An HTTPAdapter that trusts the system's CA certificates, as the rest of mlogin does.

    Without it, `requests` would trust its own list of CA certificates.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self._context, **kwargs)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        return super().proxy_manager_for(proxy, ssl_context=self._context, **kwargs)

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        if isinstance(verify, str):  # the path of the environment's CA bundle
            super().cert_verify(conn, url, verify, cert)


def _base(url: str) -> str:
    try:
        parts = urllib.parse.urlsplit(url if "://" in url else "https://" + url)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.netloc.isascii() and (parts.port or True)
    except ValueError:
        good = False
    # The error's text does not quote the URL, because the part before an @ may be a password.
    if not good or "@" in url or parts.path.strip("/") or parts.query or parts.fragment:
        raise MantaError("the URL of a Manta is http://HOST or https://HOST, with a port or without, and nothing else")
    return f"{parts.scheme}://{parts.netloc}"
