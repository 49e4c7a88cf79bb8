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
logs, grace and deadlines, all with their events. Objects must follow the schemas that Kubernetes publishes (rules.py).

Unlike in a cluster: containers share this machine's network; there are no cgroups, so nothing runs out of memory by
itself; an image is this machine's programs, or busybox alone, in namespaces made by bubblewrap; a pod has one container
besides ephemeral ones, which do not see its processes; there are no init containers, admission, priorities,
autoscaling, taints or further nodes; a mounted Secret is read when its container starts and not renewed; there are no
server-side apply, dry runs, tables, protobuf or default values. Errors and events have the words of Kubernetes 1.32.
"""

from __future__ import annotations

import base64
import contextlib
import json
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kube.access import EVERYTHING, User, Users
from tests.kube.certificates import SERVER, Authority
from tests.kube.controllers import Controllers
from tests.kube.events import Events
from tests.kube.knobs import Knobs
from tests.kube.node import Node
from tests.kube.objects import Object, Store
from tests.kube.server import Asked, Server
from tests.waiting import wait_until

NAMESPACE = "research"
OWNER = "jane"

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
        self._authority = Authority() if tls else None
        self._store, self._users = Store(), Users()
        events = Events(self._store)
        self._node = Node(self._store, events, self.knobs, root)
        self._controllers = Controllers(self._store, events, self._node, self.knobs)
        context = None if self._authority is None else self._authority.server_context()
        self._server = Server(self._store, self._node, self.knobs, self._users, context)
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

    def add_user(self, name: str, rules: list[dict[str, Any]], namespace: str = NAMESPACE) -> str:
        """Adds a user, or replaces one; returns the token."""
        token = secrets.token_hex(16)
        self._users.add(User(name, token, rules, namespace))
        self._tokens = {**getattr(self, "_tokens", {}), name: token}
        return token

    def write_kubeconfig(self, path: Path, user: str = OWNER, *, certificate: bool = False, token: str = "") -> Path:
        """Writes a kubeconfig. `certificate`: with a client certificate instead of a token; needs TLS."""
        credentials = {"token": token or self._tokens[user]}
        cluster = {"server": self.url}
        if self._authority is not None:
            cluster["certificate-authority-data"] = base64.b64encode(SERVER.read_bytes()).decode()
        if certificate:
            assert self._authority is not None
            pair = zip(("client-certificate-data", "client-key-data"), self._authority.issue(user), strict=True)
            credentials = {key: base64.b64encode(pem).decode() for key, pem in pair}
        context = {"cluster": "stand-in", "user": user, "namespace": NAMESPACE}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "stand-in", "cluster": cluster}],
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

    def asked(self, verb: str, resource: str) -> list[Asked]:
        return [one for one in self._server.asked if (one.verb, one.resource) == (verb, resource)]

    def users_asking(self) -> set[str]:
        return {one.user for one in self._server.asked}

    def start_pod(self, name: str) -> Object:
        """Starts a pod of another user, which runs until it is ended. Returns once it runs."""
        container = {"name": "main", "image": "debian:12", "command": ["sleep", "infinity"]}
        spec = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 0, "containers": [container]}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
        made = self._store.create("pods", NAMESPACE, {**pod, "status": {"phase": "Pending"}})
        wait_until(lambda: made["metadata"]["uid"] in self.running(), f"pod {name}")
        return made

    def delete(self, plural: str, name: str) -> None:
        """Deletes an object, as another user would."""
        self._store.delete(plural, NAMESPACE, name)

    def end(self, pod: Object, *, grace: float | None = None, **status: Any) -> None:
        """Ends a pod as its node would, with this in its status: `reason`, `message`, `terminated`."""
        self._node.end(pod, status, grace=grace)

    def evict(self, pod: Object) -> None:
        message = "The node was low on resource: memory. Threshold quantity: 100Mi, available: 90Mi. "
        self.end(pod, reason="Evicted", message=message)

    def run_out_of_memory(self, pod: Object) -> None:
        self.end(pod, grace=0, terminated={"reason": "OOMKilled", "exitCode": 137})


@contextlib.contextmanager
def cluster(*, tls: bool = False) -> Iterator[Cluster]:
    """A cluster that runs. At the end nothing of it is left, no container either."""
    with tempfile.TemporaryDirectory(prefix="kube-") as root, Cluster(Path(root), tls=tls) as made:
        yield made
