"""Jobs of a Kubernetes cluster, by its API."""

from __future__ import annotations

import contextlib
import secrets

from medusa.client.archive import find_archive
from medusa.client.kube import removal
from medusa.client.kube.api import Kube, find_access, require_client
from medusa.client.kube.job import KubeJob
from medusa.client.kube.wanted import parse
from medusa.client.launchers.base import JobRequest, Settings
from medusa.client.launchers.polled import PolledLauncher
from medusa.client.ledger import Ledger
from medusa.client.outcome import Failure


class KubernetesLauncher(PolledLauncher):
    """A Job with one pod, which runs the agent in an image of the user's."""

    name = "kubernetes"
    system = "the cluster"
    job: KubeJob

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        super().__init__(settings.tell)
        settings.refuse_others(self.name, "archive", "arguments")
        require_client()
        wanted = parse(settings.arguments)
        archive = find_archive(settings.archive).read_bytes()
        self._access = find_access(wanted.kubeconfig, wanted.context, wanted.namespace)
        self._stack = contextlib.ExitStack()
        directory = self._stack.enter_context(ledger.private_directory())
        name = f"medusa-{secrets.token_hex(4)}"
        self.job = KubeJob(Kube(self._access, directory), ledger, wanted, archive, name)

    def describe(self) -> str:
        return f"Kubernetes job {self.job.name}"

    def submit(self, request: JobRequest) -> None:
        if request.embedded is not None:
            raise Failure("a pod cannot reach a reflector of mlogin's own, on this machine; name one by --reflector")
        super().submit(request)

    def joined(self) -> None:
        super().joined()
        self.job.met = True

    def lost(self) -> str:
        return f"remove what may be left by: {removal.kubectl(self._access, self.job.name)}"

    def cancel(self) -> None:
        with self._stack:
            super().cancel()

    def finish(self, patience: float, *, clean: bool) -> None:
        with self._stack:
            super().finish(patience, clean=clean)
