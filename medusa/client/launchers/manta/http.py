"""One signed HTTP request to a Manta, told of in words when it fails. Proxies and CA bundles as `requests` takes them
from the environment; credentials never: not from ~/.netrc, not from cookies."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from http.cookiejar import DefaultCookiePolicy
from typing import Any, NamedTuple, Protocol

import requests
import urllib3
from requests.adapters import HTTPAdapter

from medusa import __version__
from medusa.client.cleanup.signed_request import SignedRequest
from medusa.protocol.printable import printable
from medusa.transports.tls import client_context

TIMEOUTS = (10.0, 60.0)
"""Seconds to connect, and of silence while an answer is awaited."""

ANSWER_TIME = 300.0
"""Seconds for all of an answer: silence alone would not end one that trickles."""

ANSWER_LIMIT = 16 * 1024 * 1024
"""Bytes in an answer."""

PAUSES = (0.5, 1.0, 2.0)
"""Seconds before each further try."""

_PASSING = frozenset((502, 503))
_NAMES = {400: "BadRequestError", 401: "UnauthorizedError", 403: "ForbiddenError", 404: "NotFoundError"}
"""Codes for answers without a body, such as those to HEAD."""


class MantaError(Exception):
    """A request failed; the text is printable and holds no signature.

    Attributes:
        status: the HTTP status; None where no answer came.
        code: Manta's name for the error, always with the ending that its own client gives it: `ResourceNotFoundError`;
            empty where no answer came.
    """

    def __init__(self, text: str, status: int | None = None, code: str = "") -> None:
        super().__init__(text)
        self.status = status
        self.code = code


class Signing(Protocol):
    """Whoever signs requests: medusa.client.keys.account.Account."""

    @property
    def login(self) -> str: ...

    def authorization(self, method: str, target: str, host: str) -> list[tuple[str, str]]:
        """The header fields that prove who sends the request."""


class Answer(NamedTuple):
    """A 2xx answer."""

    headers: Mapping[str, str]
    body: bytes


class MantaHttp:
    """Requests to one Manta, each on a connection of its own; any thread may make them.

    Args:
        url: of the Manta: scheme (default: https), host, port; nothing else.
        account: None for requests that are not signed.
        nap: how to wait between two tries.

    Raises:
        MantaError: `url` is not such a URL.
    """

    def __init__(
        self, url: str, account: Signing | None, insecure_tls: bool, nap: Callable[[float], object] = time.sleep
    ) -> None:
        self._base = _base(url)
        self._account = account
        self._insecure = insecure_tls
        self._nap = nap
        self._signing = threading.Lock()  # an ssh-agent answers one question after another
        self._tls = client_context(insecure_tls)
        if insecure_tls:
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)

    def request(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        again: bool | None = None,
    ) -> Answer:
        """The answer to one request, once it is a good one.

        Args:
            path: percent-encoded, as `encoded` gives it.
            again: try again though an earlier try may have had its effect; by default for every method but POST.

        Raises:
            MantaError
        """
        again = method != "POST" if again is None else again
        what = f"{method} {printable(urllib.parse.unquote(path))}"
        for pause in (*PAUSES, None):
            outcome = self._once(what, method, path, body, headers or {})
            if isinstance(outcome, Answer):
                return outcome
            if pause is None or not (outcome.unsent or (again and outcome.passing)):
                break
            self._nap(pause)
        assert isinstance(outcome, _Failed)
        raise outcome.error

    def prepare(self, method: str, path: str) -> SignedRequest:
        """The request, for somebody else to send; `path` as for `request`."""
        host = urllib.parse.urlsplit(self._base).netloc
        headers = {"Accept": "application/json", "Content-Type": "application/json", "User-Agent": _AGENT}
        if self._account is not None:
            with self._signing:
                headers.update(self._account.authorization(method, path, host))
        return SignedRequest(method, self._base + path, headers, self._insecure)

    def _once(self, what: str, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer | _Failed:
        try:
            with (
                self._session() as session,
                session.request(
                    method,
                    self._base + path,
                    data=body,
                    headers={"Accept-Encoding": "identity", "Connection": "close", "User-Agent": _AGENT, **headers},
                    auth=self._sign,  # something must stand here, or requests asks ~/.netrc
                    timeout=TIMEOUTS,
                    allow_redirects=False,
                    stream=True,
                    verify=not self._insecure,
                ) as response,
            ):
                content = _read(what, response)
        except (OSError, ValueError, urllib3.exceptions.HTTPError) as error:
            return _no_answer(f"{what}: {urllib.parse.urlsplit(self._base).netloc}", error)
        if isinstance(content, _Failed):
            return content
        if not 200 <= response.status_code < 300:
            return _refusal(what, response, content)
        return Answer(response.headers, content)

    def _session(self) -> requests.Session:
        """For one request: nothing is left for another thread, or for a peer that has hung up by then."""
        session = requests.Session()
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        for scheme in ("http://", "https://"):
            session.mount(scheme, _Adapter(self._tls))
        return session

    def _sign(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        host = urllib.parse.urlsplit(self._base).netloc
        request.headers["Host"] = host
        if self._account is not None:
            with self._signing:
                request.headers.update(self._account.authorization(request.method or "", request.path_url, host))
        return request


_AGENT = f"medusa/{__version__}"


def encoded(path: str) -> str:
    """A path of Manta's, percent-encoded as JavaScript's encodeURIComponent does it to each part."""
    return urllib.parse.quote(path.encode("utf-8", "surrogateescape"), safe="/!'()*")


class _Failed(NamedTuple):
    """One try. `unsent`: it had no effect; `passing`: the next one may fare better.

    Returned, not raised: what is raised keeps the frames that it came through, and with them the connection.
    """

    error: MantaError
    passing: bool = False
    unsent: bool = False


class _Adapter(HTTPAdapter):
    """Trusts whom `mlogin` trusts, the system's store; requests would bring one of its own. close() closes connections,
    which the original leaves to the garbage collector."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self._context, **kwargs)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        return super().proxy_manager_for(proxy, ssl_context=self._context, **kwargs)

    def close(self) -> None:
        for manager in (self.poolmanager, *self.proxy_manager.values()):
            for key in manager.pools.keys():  # noqa: SIM118 (no dict; it is not iterable)
                manager.pools[key].close()
        super().close()

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        if isinstance(verify, str):  # the environment's CA bundle
            super().cert_verify(conn, url, verify, cert)


def _base(url: str) -> str:
    try:
        parts = urllib.parse.urlsplit(url if "://" in url else "https://" + url)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.netloc.isascii() and (parts.port or True)
    except ValueError:
        good = False
    # Not repeated: what stands before an @ may be a secret.
    if not good or "@" in url or parts.path.strip("/") or parts.query or parts.fragment:
        raise MantaError("the URL of a Manta is http://HOST or https://HOST, with a port or without, and nothing else")
    return f"{parts.scheme}://{parts.netloc}"


def _read(what: str, response: requests.Response) -> bytes | _Failed:
    content, deadline = bytearray(), time.monotonic() + ANSWER_TIME
    for piece in response.iter_content(65536):
        content += piece
        if len(content) > ANSWER_LIMIT:
            return _Failed(MantaError(f"{what}: an answer of more than {ANSWER_LIMIT} bytes", response.status_code))
        if time.monotonic() > deadline:
            return _Failed(MantaError(f"{what}: no end of the answer after {ANSWER_TIME:g} s", response.status_code))
    return bytes(content)


def _no_answer(where: str, error: Exception) -> _Failed:
    causes = list(_causes(error))
    unsent = any(isinstance(e, (urllib3.exceptions.NewConnectionError, requests.ConnectTimeout)) for e in causes)
    refused = next((e for e in causes if isinstance(e, ssl.SSLCertVerificationError)), None)
    if refused is not None:
        words = f"certificate not accepted: {printable(refused.verify_message)}; -i or MANTA_TLS_INSECURE trusts any"
        return _Failed(MantaError(f"{where}: {words}"))
    broken = isinstance(error, (requests.ConnectionError, requests.exceptions.ChunkedEncodingError))
    return _Failed(MantaError(f"{where}: {_words(causes[-1])}"), broken, unsent)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _words(cause: BaseException) -> str:
    """Of the first cause: what requests and urllib3 say repeats whole URLs, a proxy's password and header fields."""
    if isinstance(cause, TimeoutError):
        return "timed out"
    if isinstance(cause, (OSError, http.client.HTTPException)) and not isinstance(cause, requests.RequestException):
        return printable(getattr(cause, "strerror", None) or str(cause))
    return f"no answer ({type(cause).__name__})"


def _refusal(what: str, response: requests.Response, content: bytes) -> _Failed:
    status = response.status_code
    code, message = _told(content)
    if response.is_redirect:
        message = "it points elsewhere, and a signed request is not sent there"
    code = code + "Error" * (not code.endswith("Error")) if code else _NAMES.get(status, "")
    text = ": ".join(part for part in (f"{what}: {status} {code}".rstrip(), message) if part)
    return _Failed(MantaError(text, status, code), status in _PASSING or code == "ConcurrentRequestError")


def _told(content: bytes) -> tuple[str, str]:
    """Code and message of an error's body, printable; empty where it is not Manta's JSON."""
    try:
        told = json.loads(content)
        return printable(str(told.get("code") or ""), 64), printable(str(told.get("message") or ""))
    except (ValueError, RecursionError, AttributeError):
        return "", ""
