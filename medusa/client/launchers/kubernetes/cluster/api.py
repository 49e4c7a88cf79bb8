"""A client for the API of a Kubernetes cluster. It uses the official Python client, but returns objects as JSON.

The modules of the official client take a second to load. So they are imported inside functions only.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from medusa.client.launchers.kubernetes.cluster.access import Access
from medusa.client.launchers.kubernetes.cluster.errors import (
    UNAUTHORIZED,
    KubeError,
    config_words,
    network_words,
    refusal,
)
from medusa.client.timeouts import DEFAULT_TIMEOUTS, KubernetesTimeouts
from medusa.protocol.http.response import timestamp
from medusa.protocol.printable import printable
from medusa.transports.tls import verify_alike

STDIN_CHUNK = 16384
"""Bytes in one message to a container's standard input, at most."""

Object = dict[str, Any]

_KINDS = {
    "job": ("BatchV1Api", "job", "jobs.batch"),
    "secret": ("CoreV1Api", "secret", "secrets"),
    "configmap": ("CoreV1Api", "config_map", "configmaps"),
    "pod": ("CoreV1Api", "pod", "pods"),
    "event": ("CoreV1Api", "event", "events"),
}
"""Kind, as kubectl calls it -> class in the official client, part of the method's name, resource's name in a Role."""


class KubeClient:
    """A client for one namespace of a cluster. Only one thread at a time may use it.

    Every request may block, and may raise KubeError.

    Attributes:
        server: the URL of the API server, for messages.
        interactive: True if helper programs may use the terminal. (The kubeconfig may name programs that make tokens.)
            Set it to False when the session starts to use the terminal.
        asks: True while a helper program may be asking the user a question on the terminal.

    Args:
        access: the cluster, the user and the namespace.
        directory: a private directory, in which the official client stores keys from the kubeconfig.
    """

    def __init__(
        self, access: Access, directory: Path, timeouts: KubernetesTimeouts = DEFAULT_TIMEOUTS.kubernetes
    ) -> None:
        self.access = access
        self._directory = directory
        self._timeouts = timeouts
        self._apis: dict[str, Any] = {}
        self._clock_offset = 0.0
        self.server = "the cluster"
        self.interactive = True
        self.asks = False

    def now(self) -> float:
        """Returns the present time of the cluster's clock, in seconds since 1970.

        Use it to compare with the times in Kubernetes' objects. It is computed from this machine's clock and the Date
        of the cluster's last answer.
        """
        return time.time() + self._clock_offset

    def create(self, kind: str, body: Object) -> Object:
        return self._object("create", kind, self.access.namespace, body)

    def get(self, kind: str, name: str) -> Object:
        return self._object("read", kind, name, self.access.namespace)

    def patch(self, kind: str, name: str, body: Object) -> None:
        self._object("patch", kind, name, self.access.namespace, body)

    def delete(self, kind: str, name: str) -> None:
        """Deletes an object, and all objects that it owns."""
        self._object("delete", kind, name, self.access.namespace, propagation_policy="Background")

    def pods(self, selector: str) -> list[Object]:
        return self._list("pod", label_selector=selector)

    def events(self, name: str) -> list[Object]:
        """Returns the events about the object with this name."""
        return self._list("event", field_selector=f"involvedObject.name={name}")

    def log(self, pod: str, container: str, lines: int) -> list[str]:
        """Returns the last lines of a container's log, printable."""
        arguments = (pod, self.access.namespace)
        data = self._ask("read", "pod", "_log", *arguments, container=container, tail_lines=lines, limit_bytes=65536)
        return [printable(line) for line in data.decode("utf-8", "replace").splitlines()[-lines:]]

    def add_container(self, pod: str, container: Object) -> None:
        """Adds an ephemeral container to a running pod. Kubernetes offers no way to remove it."""
        body = {"spec": {"ephemeralContainers": [container]}}
        self._ask("patch", "pod", "_ephemeralcontainers", pod, self.access.namespace, body)

    def write_stdin(self, pod: str, container: str, data: bytes, until: str) -> None:
        """Writes `data` to a container's standard input. Closes the input when the container has printed `until`."""
        from kubernetes.client import ApiException
        from kubernetes.stream import stream
        from websocket import WebSocketException

        attach = self._api("CoreV1Api").connect_get_namespaced_pod_attach
        options = {"container": container, "stdin": True, "stdout": True, "stderr": True, "tty": False}
        try:
            link = stream(attach, pod, self.access.namespace, **options, _preload_content=False)
            try:
                _write(link, data, until, self._timeouts.stdin_timeout)
            finally:
                link.close()
        except ApiException as error:
            raise KubeError(f"attach pods: {printable(' '.join(str(error.reason).split()))}") from None
        except (WebSocketException, OSError) as error:
            raise KubeError(f"attach pods: {printable(str(error))}") from None

    def close(self) -> None:
        """Closes all connections. The next request reads the kubeconfig again, and opens a new connection."""
        for api in self._apis.values():
            pools = api.api_client.rest_client.pool_manager.pools
            for key in pools.keys():  # noqa: SIM118 - not a dict, and not iterable
                pools[key].close()
        self._apis.clear()

    def _list(self, kind: str, **options: str) -> list[Object]:
        found: list[Object] = self._object("list", kind, self.access.namespace, **options).get("items") or []
        return found

    def _object(self, verb: str, kind: str, *arguments: Any, **options: Any) -> Object:
        data = self._ask(verb, kind, "", *arguments, **options)
        try:
            found = json.loads(data)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise KubeError(f"{self.server} answered, but not as the API of Kubernetes")
        return found

    def _ask(self, verb: str, kind: str, suffix: str, *arguments: Any, **options: Any) -> bytes:
        try:
            return self._once(verb, kind, suffix, *arguments, **options)
        except KubeError as error:
            if error.status != UNAUTHORIZED:
                raise
        # The token may have expired. Then the kubeconfig, or a helper program that it names, may have a new one.
        self.close()
        return self._once(verb, kind, suffix, *arguments, **options)

    def _once(self, verb: str, kind: str, suffix: str, *arguments: Any, **options: Any) -> bytes:
        api, method, resource = _KINDS[kind]
        timeout = (self._timeouts.connect_timeout, self._timeouts.answer_timeout)
        try:
            call = getattr(self._api(api), f"{verb}_namespaced_{method}{suffix}")
            answer = call(*arguments, **options, _preload_content=False, _request_timeout=timeout)
            data: bytes = answer.data
        except Exception as error:  # noqa: BLE001 - _error raises unexpected exceptions again
            what = f"{'get' if verb == 'read' else verb} {resource}{suffix.replace('_', '/')}"
            raise self._error(error, what) from None
        self._note_time(answer.headers.get("Date"))
        return data

    def _api(self, name: str) -> Any:
        if not self._apis:
            self._connect()
        return self._apis[name]

    @contextlib.contextmanager
    def _asking(self) -> Iterator[None]:
        self.asks = True
        try:
            yield
        finally:
            self.asks = False

    def _connect(self) -> None:
        import urllib3
        from kubernetes import client, config

        # The warning would appear on the terminal. A user who has turned verification off does not need it.
        warnings.simplefilter("ignore", urllib3.exceptions.InsecureRequestWarning)
        configuration = client.Configuration()
        options = {"client_configuration": configuration}
        if self.access.kubeconfig is None:
            config.load_incluster_config(**options)
        else:
            with self._asking() if self.interactive else _without_terminal():
                config.load_kube_config(
                    self.access.kubeconfig,
                    self.access.context,
                    persist_config=False,
                    temp_file_path=str(self._directory),
                    **options,
                )
        configuration.retries = False
        self.server = printable(configuration.host)
        api = client.ApiClient(configuration)
        if configuration.verify_ssl:
            api.rest_client.pool_manager.connection_pool_kw["ssl_context"] = _context(configuration)
        self._apis = {name: getattr(client, name)(api) for name in {api for api, _, _ in _KINDS.values()}}

    def _error(self, error: Exception, what: str) -> KubeError:
        """Returns the KubeError for `error`, an exception that a request has raised.

        Raises `error` itself if it is of an unexpected kind, because that is a bug. `what`: the request, for the text.
        """
        import urllib3
        from kubernetes import config
        from kubernetes.client import ApiException

        if isinstance(error, ApiException):
            return refusal(error, what, self.server)
        if isinstance(error, config.ConfigException):
            return KubeError(config_words(error), UNAUTHORIZED)
        if isinstance(error, (urllib3.exceptions.HTTPError, OSError)):
            return KubeError(f"{self.server} does not answer: {network_words(error)}")
        raise error

    def _note_time(self, date: str | None) -> None:
        now = timestamp(date or "")
        if now is not None:
            self._clock_offset = now - time.time()


def _context(configuration: Any) -> Any:
    """Returns TLS settings that accept every certificate that kubectl accepts.

    Python's default settings refuse some of these certificates.
    """
    from urllib3.util.ssl_ import create_urllib3_context

    context = create_urllib3_context()
    verify_alike(context)
    if not configuration.ssl_ca_cert:
        context.load_default_certs()
    return context


@contextlib.contextmanager
def _without_terminal() -> Iterator[None]:
    """Context manager that gives /dev/null instead of the terminal to the programs that the client starts."""
    with open(os.devnull, "r+") as null, contextlib.redirect_stderr(null):
        before, sys.stdin = sys.stdin, null
        try:
            yield
        finally:
            sys.stdin = before


def _write(link: Any, data: bytes, until: str, timeout: float) -> None:
    """Writes `data` to a container's standard input, and waits until the container prints `until`.

    Args:
        link: the official client's websocket to the container.
        timeout: the limit of the wait in seconds.

    Raises:
        KubeError: the container ends, or does not print `until` in time.
    """
    for start in range(0, len(data), STDIN_CHUNK):
        link.write_stdin(data[start : start + STDIN_CHUNK])
    deadline, output = time.monotonic() + timeout, ""
    while until not in output:
        if not link.is_open() or time.monotonic() > deadline:
            raise KubeError(f"attach pods: the container took no agent; it said {printable(output[-200:])!r}")
        link.update(timeout=1)
        output += link.read_all()
