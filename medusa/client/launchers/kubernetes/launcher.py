"""Jobs of a Kubernetes cluster, by its API."""

from __future__ import annotations

import contextlib
import secrets
import shlex

from medusa.client.archive import find_archive
from medusa.client.launchers.base import JobRequest, Settings
from medusa.client.launchers.kubernetes import cleanup
from medusa.client.launchers.kubernetes.api import Kube, find_access, require_client
from medusa.client.launchers.kubernetes.ephemeral import BesideJob
from medusa.client.launchers.kubernetes.job import KubeJob
from medusa.client.launchers.kubernetes.options import parse
from medusa.client.launchers.polled import PolledLauncher
from medusa.client.ledger import Ledger
from medusa.client.outcome import Failure
from medusa.protocol.printable import printable


class KubernetesLauncher(PolledLauncher):
    """A Job with one pod, which runs the agent in an image of the user's; or a container beside a pod that runs."""

    name = "kubernetes"
    system = "the cluster"

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        super().__init__(settings.tell)
        settings.refuse_others(self.name, "archive", "arguments", "job")
        require_client()
        wanted = parse(settings.arguments)
        if settings.job is not None:
            wanted.refuse_what_is_for_pods()
        archive = find_archive(settings.archive).read_bytes()
        self._access = find_access(wanted.kubeconfig, wanted.context, wanted.namespace)
        self._stack = contextlib.ExitStack()
        directory = self._stack.enter_context(ledger.private_directory())
        self._api = api = Kube(self._access, directory)
        name = f"medusa-{secrets.token_hex(4)}"
        self._words = f"Kubernetes job {name}"
        self._left = f"remove what may be left by: {cleanup.kubectl(self._access, name)}"
        if settings.job is None:
            self.job: KubeJob | BesideJob = KubeJob(api, ledger, wanted, archive, name)
        else:
            pod, _, container = settings.job.partition("/")
            self.job = BesideJob(api, wanted, pod, container or None, archive, name)
            self._words = f"container {name} beside pod {printable(pod)}"
            self._left = f"see what became of it by: {self._access.kubectl()} describe pod {shlex.quote(pod)}"

    def describe(self) -> str:
        return self._words

    def joined(self) -> None:
        super().joined()
        self._api.alone = True

    def submit(self, request: JobRequest) -> None:
        if request.embedded is not None:
            raise Failure("a pod cannot reach a reflector of mlogin's own, on this machine; name one by --reflector")
        super().submit(request)

    def lost(self) -> str:
        return self._left

    def cancel(self) -> None:
        with self._stack:
            super().cancel()

    def finish(self, patience: float, *, clean: bool) -> None:
        with self._stack:
            super().finish(patience, clean=clean)
