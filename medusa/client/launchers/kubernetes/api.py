"""The cluster's API, through the official client: objects as the API has them in JSON, and errors in words.

Which cluster, and as whom, says a kubeconfig, found where kubectl finds it. The modules of the client take a second to
load, and are loaded here only.
"""

from __future__ import annotations

import contextlib
import email.utils
import importlib
import json
import os
import re
import shlex
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medusa.client.launchers.kubernetes import stdin
from medusa.client.launchers.kubernetes.errors import UNAUTHORIZED, KubeError
from medusa.client.outcome import Failure
from medusa.protocol.printable import printable

TIMEOUT = (5.0, 10.0)
"""Seconds to connect, and without a byte of an answer."""

DEFAULT_NAMESPACE = "default"
IN_POD = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""What a pod is given to speak to its own cluster."""

NOT_INSTALLED = (
    "the launcher `kubernetes` needs the official client of Kubernetes: pip install 'medusa-session[kubernetes]'"
)

Object = dict[str, Any]

_KINDS = {
    "job": ("BatchV1Api", "job", "jobs.batch"),
    "secret": ("CoreV1Api", "secret", "secrets"),
    "configmap": ("CoreV1Api", "config_map", "configmaps"),
    "pod": ("CoreV1Api", "pod", "pods"),
    "event": ("CoreV1Api", "event", "events"),
}
"""As kubectl names it -> class and method of the client, and the resource that roles speak of."""


@dataclass(frozen=True)
class Access:
    """Which cluster, as whom, and where in it. All of it may stand in a command line.

    Attributes:
        kubeconfig: absolute paths, joined as in KUBECONFIG; None for what a pod is given.
        context: None for the current one.
    """

    kubeconfig: str | None
    context: str | None
    namespace: str

    def kubectl(self) -> str:
        """How a user asks the same cluster."""
        config = ["--kubeconfig", self.kubeconfig] if self.kubeconfig and os.pathsep not in self.kubeconfig else []
        context = ["--context", self.context] if self.context else []
        return shlex.join(["kubectl", *config, *context, "-n", self.namespace])


def require_client() -> None:
    """Raises Failure where the client, which is an extra, is not installed."""
    try:
        importlib.import_module("kubernetes")
    except ImportError:
        raise Failure(NOT_INSTALLED) from None


def find_access(kubeconfig: str | None, context: str | None, namespace: str | None) -> Access:
    """As kubectl: the file that is named, KUBECONFIG, ~/.kube/config, what a pod is given.

    Raises:
        Failure: nothing of them is there, or the context is not in it.
    """
    import yaml
    from kubernetes import config

    named = kubeconfig or os.environ.get("KUBECONFIG") or str(Path("~/.kube/config").expanduser())
    paths = [os.path.abspath(os.path.expanduser(path)) for path in named.split(os.pathsep) if path]
    if kubeconfig is None and not any(map(os.path.exists, paths)) and (IN_POD / "token").exists():
        own = (IN_POD / "namespace").read_text().strip()
        return Access(None, None, namespace or own)
    files = os.pathsep.join(paths)
    try:
        contexts, current = config.list_kube_config_contexts(files)
    except yaml.YAMLError:  # its text may quote the file
        raise Failure(f"the launcher `kubernetes`: {printable(files)} is not YAML") from None
    except (config.ConfigException, OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise Failure(f"the launcher `kubernetes`: {_config_words(error)} ({printable(files)})") from None
    wanted = next((one for one in contexts if one["name"] == context), None) if context else current
    if wanted is None:
        raise Failure(f"the launcher `kubernetes`: {printable(files)} has no context {printable(str(context))}")
    return Access(files, context, namespace or wanted["context"].get("namespace") or DEFAULT_NAMESPACE)


class Kube:
    """One namespace of a cluster. For one thread at a time; every call may block, and raises KubeError.

    Attributes:
        alone: the terminal is a session's: no program that makes tokens may ask on it, or speak.

    Args:
        directory: private; the client writes keys of the kubeconfig there.
    """

    def __init__(self, access: Access, directory: Path) -> None:
        self.access = access
        self._directory = directory
        self._apis: dict[str, Any] = {}
        self._skew = 0.0
        self.server = "the cluster"
        self.alone = False

    def now(self) -> float:
        """Seconds since 1970 by the cluster's clock, as well as it is known: the times of objects are by that."""
        return time.time() + self._skew

    def create(self, kind: str, body: Object) -> Object:
        return self._object("create", kind, self.access.namespace, body)

    def get(self, kind: str, name: str) -> Object:
        return self._object("read", kind, name, self.access.namespace)

    def patch(self, kind: str, name: str, body: Object) -> None:
        self._object("patch", kind, name, self.access.namespace, body)

    def delete(self, kind: str, name: str) -> None:
        """With all that it owns."""
        self._object("delete", kind, name, self.access.namespace, propagation_policy="Background")

    def pods(self, selector: str) -> list[Object]:
        return self._list("pod", label_selector=selector)

    def events(self, name: str) -> list[Object]:
        """About what has that name."""
        return self._list("event", field_selector=f"involvedObject.name={name}")

    def log(self, pod: str, container: str, lines: int) -> list[str]:
        """The last lines, printable."""
        arguments = (pod, self.access.namespace)
        data = self._ask("read", "pod", "_log", *arguments, container=container, tail_lines=lines, limit_bytes=65536)
        return [printable(line) for line in data.decode("utf-8", "replace").splitlines()[-lines:]]

    def add_container(self, pod: str, container: Object) -> None:
        """Beside those of a pod that runs; for as long as that is there."""
        body = {"spec": {"ephemeralContainers": [container]}}
        self._ask("patch", "pod", "_ephemeralcontainers", pod, self.access.namespace, body)

    def feed(self, pod: str, container: str, data: bytes, until: str) -> None:
        """Writes to the standard input of a container, until it has written `until`; then that ends."""
        stdin.feed(self._api("CoreV1Api"), (self.access.namespace, pod), container, data, until)

    def close(self) -> None:
        """Closes its connections; the next call opens others, as the kubeconfig says then."""
        for api in self._apis.values():
            pools = api.api_client.rest_client.pool_manager.pools
            for key in pools.keys():  # noqa: SIM118 - no dict: it has no other way
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
        self.close()  # a token has expired: the kubeconfig, or its helper program, may have a new one
        return self._once(verb, kind, suffix, *arguments, **options)

    def _once(self, verb: str, kind: str, suffix: str, *arguments: Any, **options: Any) -> bytes:
        api, method, resource = _KINDS[kind]
        try:
            call = getattr(self._api(api), f"{verb}_namespaced_{method}{suffix}")
            answer = call(*arguments, **options, _preload_content=False, _request_timeout=TIMEOUT)
            data: bytes = answer.data
        except Exception as error:  # noqa: BLE001 - those that are not expected are raised as they are
            what = f"{'get' if verb == 'read' else verb} {resource}{suffix.replace('_', '/')}"
            raise self._error(error, what) from None
        self._note_time(answer.headers.get("Date"))
        return data

    def _api(self, name: str) -> Any:
        if not self._apis:
            self._connect()
        return self._apis[name]

    def _connect(self) -> None:
        import urllib3
        from kubernetes import client, config

        # Written to the user's terminal otherwise; whoever turned verification off knows.
        warnings.simplefilter("ignore", urllib3.exceptions.InsecureRequestWarning)
        configuration = client.Configuration()
        options = {"client_configuration": configuration}
        if self.access.kubeconfig is None:
            config.load_incluster_config(**options)
        else:
            with _nobody_there() if self.alone else contextlib.nullcontext():
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
        self._apis = {name: getattr(client, name)(api) for name in {api for api, _, _ in _KINDS.values()}}

    def _error(self, error: Exception, what: str) -> KubeError:
        """In words; an exception that is nobody's but ours is raised."""
        import urllib3
        from kubernetes import config
        from kubernetes.client import ApiException

        if isinstance(error, ApiException):
            return _refusal(error, what, self.server)
        if isinstance(error, config.ConfigException):
            return KubeError(_config_words(error), UNAUTHORIZED)
        if isinstance(error, (urllib3.exceptions.HTTPError, OSError)):
            return KubeError(f"{self.server} does not answer: {_network_words(error)}")
        raise error

    def _note_time(self, date: str | None) -> None:
        if date is not None:
            self._skew = email.utils.parsedate_to_datetime(date).timestamp() - time.time()


@contextlib.contextmanager
def _nobody_there() -> Iterator[None]:
    """What the client gives to a helper program as its terminal."""
    with open(os.devnull, "r+") as null, contextlib.redirect_stderr(null):
        before, sys.stdin = sys.stdin, null
        try:
            yield
        finally:
            sys.stdin = before


def _refusal(error: Any, what: str, server: str) -> KubeError:
    """Args: error: the client's ApiException; `what`: verb and resource, as a role has to allow them."""
    if not error.status:
        return KubeError(f"{server} does not answer: {printable(str(error.reason))}")
    try:
        record = json.loads(error.body or "")
        message = record.get("message") if isinstance(record, dict) else None
    except ValueError:
        message = None
    words = printable(" ".join(str(message or error.reason or "").split()), 500)
    return KubeError(f"{what}: {words} ({error.status})", error.status)


def _network_words(error: Exception) -> str:
    """Without the client's objects that stand before the reason."""
    text = re.sub(r"<[^<>]*object at 0x[0-9a-f]+>", "", str(error))
    text = re.sub(r"HTTPS?Connection(Pool)?\([^()]*\)", "", text)
    return printable(text.strip(" :(),'") or type(error).__name__)


def _config_words(error: Exception) -> str:
    return printable(" ".join(str(error).split()) or type(error).__name__, 300)
