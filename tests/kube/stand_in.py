"""A Kubernetes cluster for tests: a real HTTP(S) API, and pods that really run. Start here.

    with cluster() as kube:
        kube.add_user("jane", rules)               # as a Role has them; the kubeconfig's user may do everything
        kube.write_kubeconfig(path)                # of a user with a token, or with a client certificate
        kube.knobs.unschedulable = "0/3 nodes ..." # see knobs.py
        ... a client ...
        kube.names("jobs")                         # and pods, secrets, configmaps, events
        kube.evict(kube.pod())

Like in a cluster: objects with uids, resourceVersions and owners; 409, 404, 422 and limits of size; bearer tokens,
client certificates and roles; label and field selectors, watches and discovery as far as kubectl needs them; a Job
controller with one pod and no retries; scheduling, mounting of projected Secrets and ConfigMaps, pulling, running,
logs and grace. Objects must follow the schemas that Kubernetes publishes (rules.py).

Unlike in a cluster: there is one namespace; pulling is the only event; containers share this machine's network; there
are no cgroups, so nothing runs out of memory by itself; an image is this machine's programs, or busybox alone, in
namespaces made by bubblewrap; a pod has one container besides ephemeral ones, which do not see its processes; there are
no init containers, deadlines, admission, quotas, priorities, autoscaling, taints or further nodes; a mounted Secret is
read when its container starts and not renewed; there are no server-side apply, dry runs, tables, protobuf or default
values. Errors have the words of Kubernetes 1.32.
"""

from __future__ import annotations

import base64
import contextlib
import json
import secrets
import shutil
import ssl
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kube.access import EVERYTHING, User
from tests.kube.controllers import Controllers
from tests.kube.knobs import Knobs
from tests.kube.node import Node
from tests.kube.objects import NAMESPACE, Object, Store
from tests.kube.server import Server
from tests.links import CERTIFICATE, server_context
from tests.waiting import wait_until

OWNER = "jane"
CERTIFIED = "medusa tests"
"""The user whose client certificate is also the server's own."""

containers = pytest.mark.skipif(
    not (shutil.which("bwrap") and shutil.which("busybox")), reason="needs bwrap (bubblewrap) and busybox"
)


class Cluster:
    """Attributes:
    knobs: see knobs.py; a test may change them at any time.
    url: of the API.
    """

    def __init__(self, root: Path, *, tls: bool) -> None:
        self.knobs = Knobs()
        self._tls = tls
        self._store = Store()
        self._node = Node(self._store, self.knobs, root)
        self._controllers = Controllers(self._store, self._node, self.knobs)
        self._server = Server(self._store, self._node, self.knobs, _server_context() if tls else None)
        port = self._server.server_address[1]
        self.url = f"https://localhost:{port}" if tls else f"http://127.0.0.1:{port}"
        self.add_user(OWNER, EVERYTHING)

    def __enter__(self) -> Cluster:
        self._server.start()
        self._controllers.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.stop()
        self._controllers.stop()
        assert self._controllers.failure is None, self._controllers.failure
        assert not self._server.failures, self._server.failures

    def add_user(self, name: str, rules: list[dict[str, Any]]) -> str:
        """Adds a user, or replaces one; returns the token."""
        user = self._server.users[name] = User(name, secrets.token_hex(16), rules)
        return user.token

    def write_kubeconfig(self, path: Path, user: str = OWNER, *, token: str = "") -> Path:
        """Writes a kubeconfig. The user CERTIFIED has a client certificate instead of a token, which needs TLS."""
        key, mark, certificate = CERTIFICATE.read_bytes().partition(b"-----BEGIN CERTIFICATE")
        credentials = {"token": token or self._server.users[user].token}
        if user == CERTIFIED:
            credentials = {"client-certificate-data": _base64(mark + certificate), "client-key-data": _base64(key)}
        authority = {"certificate-authority-data": _base64(CERTIFICATE.read_bytes())} if self._tls else {}
        context = {"cluster": "stand-in", "user": user, "namespace": NAMESPACE}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "stand-in", "cluster": {"server": self.url, **authority}}],
            "users": [{"name": user, "user": credentials}],
            "contexts": [{"name": "tests", "context": context}],
            "current-context": "tests",
        }
        path.write_text(json.dumps(config))
        path.chmod(0o600)
        return path

    def objects(self, plural: str) -> list[Object]:
        """A copy of all objects of a resource."""
        with self._store.changed:
            found: list[Object] = json.loads(json.dumps(self._store.find(plural)))
            return found

    def names(self, *plurals: str) -> list[str]:
        """Names of all objects as `jobs/NAME`, or of one resource. Events are left out unless asked for."""
        wanted = plurals or ("jobs", "pods", "secrets", "configmaps")
        return [f"{plural}/{one['metadata']['name']}" for plural in wanted for one in self.objects(plural)]

    def pod(self) -> Object:
        """The one pod, after waiting for it."""
        (pod,) = wait_until(lambda: self.objects("pods"), "a pod")
        return pod

    def running(self) -> list[str]:
        """The uids of pods whose containers run."""
        return self._node.containers()

    def asked(self, verb: str, resource: str) -> int:
        """How many such requests there were."""
        return sum(one[:2] == (verb, resource) for one in self._server.asked)

    def users_asking(self) -> set[str]:
        return {user for _, _, user in self._server.asked}

    def start_pod(self, name: str) -> Object:
        """Starts a pod of another user, which runs until it is ended. Returns once it runs."""
        container = {"name": "main", "image": "debian:12", "command": ["sleep", "infinity"]}
        spec = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 0, "containers": [container]}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
        made = self._store.create("pods", {**pod, "status": {"phase": "Pending"}})
        wait_until(lambda: made["metadata"]["uid"] in self.running(), f"pod {name}")
        return made

    def delete(self, plural: str, name: str) -> None:
        """Deletes an object, as another user would."""
        self._store.delete(plural, name)

    def end(self, pod: Object, *, grace: float | None = None, **status: Any) -> None:
        """Ends a pod as its node would, with this in its status: `reason`, `message`, `terminated`."""
        self._node.end(pod, status, grace=grace)

    def evict(self, pod: Object) -> None:
        message = "The node was low on resource: memory. Threshold quantity: 100Mi, available: 90Mi. "
        self.end(pod, reason="Evicted", message=message)

    def run_out_of_memory(self, pod: Object) -> None:
        self.end(pod, grace=0, terminated={"reason": "OOMKilled", "exitCode": 137})


def _server_context() -> ssl.SSLContext:
    """For a server that accepts clients with and without a certificate."""
    context = server_context()
    context.load_verify_locations(CERTIFICATE)
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


@contextlib.contextmanager
def cluster(*, tls: bool = False) -> Iterator[Cluster]:
    """A cluster that runs. At the end nothing of it is left, no container either."""
    with tempfile.TemporaryDirectory(prefix="kube-") as root, Cluster(Path(root), tls=tls) as made:
        yield made
