"""The API over HTTP(S), with a thread for each connection."""

from __future__ import annotations

import contextlib
import copy
import json
import re
import socket
import ssl
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.kube.access import User, authorize, forbidden, identify
from tests.kube.attaching import attach
from tests.kube.discovery import DISCOVERY
from tests.kube.knobs import Knobs
from tests.kube.node import Node
from tests.kube.objects import NAMESPACE, RESOURCES, Object, Resource, Store
from tests.kube.patches import merged, selected
from tests.kube.refusal import Refusal

_PATH = re.compile(
    rf"/(?:api/v1|apis/(?P<group>[a-z.]+)/v1)/namespaces/{NAMESPACE}/(?P<plural>[a-z]+)"
    r"(?:/(?P<name>[^/]+)(?:/(?P<sub>[a-z]+))?)?/?"
)
_VERBS = {"POST": "create", "PATCH": "patch", "DELETE": "delete"}
_PATCHES = ("application/strategic-merge-patch+json", "application/merge-patch+json")


class Server(ThreadingHTTPServer):
    """Attributes:
    users: by their names.
    asked: verb, resource and user of each request.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, store: Store, node: Node, knobs: Knobs, tls: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.store, self.node, self.knobs, self.tls = store, node, knobs, tls
        self.users: dict[str, User] = {}
        self.asked: list[tuple[str, str, str]] = []
        self.failures: list[str] = []
        self.stopping = threading.Event()
        self._connections: set[socket.socket] = set()
        self._handlers: set[threading.Thread] = set()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), name="api")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.stopping.set()
        self.shutdown()
        self._thread.join()
        self.server_close()
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for handler in list(self._handlers):
            handler.join()

    @contextlib.contextmanager
    def connected(self, connection: socket.socket) -> Iterator[None]:
        self._connections.add(connection)
        self._handlers.add(threading.current_thread())
        try:
            yield
        finally:
            self._connections.discard(connection)
            self._handlers.discard(threading.current_thread())

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], OSError):
            self.failures.append(traceback.format_exc())


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def setup(self) -> None:
        self._plain = self.request
        if self.server.tls is not None:
            self.request = self.server.tls.wrap_socket(self.request, server_side=True)
        super().setup()

    def handle(self) -> None:
        with self.server.connected(self.request), contextlib.suppress(OSError):
            super().handle()

    def finish(self) -> None:
        with contextlib.suppress(OSError):
            super().finish()
        if self.request is not self._plain:
            self.request.close()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Logs nothing: tests read `asked`."""

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_PATCH = do_DELETE = do_GET  # noqa: N815 - the base class's names

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        away = self.server.knobs.away
        while self.server.knobs.away == "silent" and not self.server.stopping.wait(0.02):
            pass
        if away in ("silent", "reset"):
            self.close_connection = True
            return
        if away == "unavailable":
            self._answer(503, b"no server is available to handle this request", "text/plain")
            return
        try:
            status, found = self._route(body)
        except Refusal as refusal:
            status, found = refusal.status, refusal.body()
        if callable(found):
            found()
        elif isinstance(found, bytes):
            self._answer(status, found, "text/plain")
        else:
            self._answer(status, json.dumps(found).encode(), "application/json")

    def _answer(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _route(self, body: bytes) -> tuple[int, Any]:
        url = urlsplit(self.path)
        certificate = self.request.getpeercert() if isinstance(self.request, ssl.SSLSocket) else None
        user = identify(self.server.users, self.headers.get("Authorization"), _common_name(certificate))
        if url.path in DISCOVERY:
            return 200, DISCOVERY[url.path]
        match = _PATH.fullmatch(url.path)
        resource = RESOURCES.get(match["plural"]) if match else None
        if match is None or resource is None or resource.group != (match["group"] or ""):
            raise Refusal(404, "the server could not find the requested resource")
        query = {key: values[-1] for key, values in parse_qs(url.query).items()}
        verb = _verb(self.command, match["name"], query)
        wanted = resource.plural + (f"/{match['sub']}" if match["sub"] else "")
        self.server.asked.append((verb, wanted, user.name))
        authorize(user, verb, resource, wanted)
        if (verb, resource.full_name) in self.server.knobs.forbidden:
            raise forbidden(user, verb, resource)
        return self._do(verb, resource, match, query, body)

    def _do(
        self, verb: str, resource: Resource, match: re.Match[str], query: dict[str, str], body: bytes
    ) -> tuple[int, Any]:
        store, plural = self.server.store, resource.plural
        name, sub = match["name"], match["sub"]
        if (plural, sub, verb) == ("pods", "log", "get"):
            return 200, self._log(name, query)
        if (plural, sub, verb) == ("pods", "attach", "get"):
            return 101, self._attaching(name, query)
        if sub is not None and (plural, sub, verb) != ("pods", "ephemeralcontainers", "patch"):
            raise Refusal(404, "the server could not find the requested resource")
        with store.changed:
            if verb == "get":
                return 200, copy.deepcopy(store.get(plural, name))
            if verb == "list":
                return 200, _list(resource, [one for one in store.find(plural) if selected(one, query)], store)
            if verb == "watch":
                return 200, self._watching(plural, query)
            if verb == "create":
                return 201, copy.deepcopy(store.create(plural, _parsed(body)))
            if verb == "delete":
                return 200, copy.deepcopy(store.delete(plural, name))
            change = self._change(_parsed(body), sub)
            return 200, copy.deepcopy(store.change(plural, name, change))

    def _change(self, sent: Object, sub: str | None) -> Callable[[Object], Object]:
        if sub is not None:  # a strategic merge: items of this list are known by their names
            added = sent["spec"].pop("ephemeralContainers")
            return lambda old: merged(
                old, {"spec": {"ephemeralContainers": [*old["spec"].get("ephemeralContainers", ()), *added]}}
            )
        content_type = self.headers.get_content_type()
        if content_type not in _PATCHES:
            raise Refusal(400, f"the body of the request was in an unsupported format: {content_type}")
        return lambda old: merged(old, sent)

    def _log(self, name: str, query: dict[str, str]) -> bytes:
        with self.server.store.changed:
            pod = self.server.store.get("pods", name)
            data = self.server.node.log(pod["metadata"]["uid"], query.get("container", ""))
        if data is None:
            raise Refusal(400, f'container "{query.get("container")}" in pod "{name}" is waiting to start')
        lines = data.splitlines(keepends=True)
        return b"".join(lines[-int(query.get("tailLines", len(lines) or 1)) :])

    def _attaching(self, name: str, query: dict[str, str]) -> Callable[[], None]:
        with self.server.store.changed:
            pod = self.server.store.get("pods", name)
            container = self.server.node.ephemeral(pod["metadata"]["uid"], query.get("container", ""))
        if container is None:
            raise Refusal(400, f"container {query.get('container')} not found in pod {name}")
        self.close_connection = True
        headers = [(key.encode(), value.encode()) for key, value in self.headers.items()]
        return lambda: attach(self.request, self.path, headers, container, self.server.stopping)

    def _watching(self, plural: str, query: dict[str, str]) -> Callable[[], None]:
        since = int(query.get("resourceVersion") or self.server.store.version)

        def watch() -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for change in self.server.store.changes(plural, since, self.server.stopping.is_set):
                if selected(change.object, query):
                    line = json.dumps({"type": change.kind, "object": change.object}).encode() + b"\n"
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))

        return watch


def _verb(method: str, name: str | None, query: dict[str, str]) -> str:
    if method != "GET":
        return _VERBS[method]
    if name is not None:
        return "get"
    return "watch" if query.get("watch") in ("1", "true") else "list"


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        raise Refusal(400, "the object provided is unrecognized: not JSON") from None


def _list(resource: Resource, items: list[Object], store: Store) -> Object:
    kind = {"kind": f"{resource.kind}List", "apiVersion": resource.api_version}
    return {**kind, "metadata": {"resourceVersion": str(store.version)}, "items": copy.deepcopy(items)}


def _common_name(certificate: Any) -> str | None:
    subject = (certificate or {}).get("subject", ())
    return next((value for part in subject for key, value in part if key == "commonName"), None)
