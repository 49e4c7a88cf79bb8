"""The launcher `kubernetes`: runs the agent in a Kubernetes cluster, through the cluster's API."""

from __future__ import annotations

import contextlib
import secrets
import shlex

from medusa.client.archive import find_archive
from medusa.client.launchers.base import JobRequest, Settings
from medusa.client.launchers.kubernetes import cleanup
from medusa.client.launchers.kubernetes.cluster.access import find_access, require_client
from medusa.client.launchers.kubernetes.cluster.api import KubeClient
from medusa.client.launchers.kubernetes.ephemeral import EphemeralJob
from medusa.client.launchers.kubernetes.job import KubeJob
from medusa.client.launchers.kubernetes.options import help_text, parse
from medusa.client.launchers.polled import PolledLauncher
from medusa.client.ledger import Ledger
from medusa.client.outcome import Failure
from medusa.protocol.printable import printable


class KubernetesLauncher(PolledLauncher):
    """Runs the agent in the pod of a new Job. With --job, runs it in an ephemeral container of a pod that already runs.

    The user chooses the image of the container.
    """

    name = "kubernetes"
    target = "job"
    options_of = "this launcher"
    system = "the cluster"

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        super().__init__(settings.tell, settings.timeouts)
        settings.refuse_others(self.name, "archive", "arguments", "job")
        require_client()
        options = parse(settings.arguments)
        if settings.job is not None:
            options.refuse_pod_options()
        archive = find_archive(settings.archive).read_bytes()
        self._access = find_access(options.kubeconfig, options.context, options.namespace)
        self._stack = contextlib.ExitStack()
        directory = self._stack.enter_context(ledger.private_directory())
        times = settings.timeouts.kubernetes
        self._api = api = KubeClient(self._access, directory, times)
        name = f"medusa-{secrets.token_hex(4)}"
        self._description = f"Kubernetes job {name}"
        self._hint = f"remove what may be left by: {cleanup.kubectl_command(self._access, name)}"
        if settings.job is None:
            self.job: KubeJob | EphemeralJob = KubeJob(api, ledger, options, archive, name, times)
        else:
            pod, _, container = settings.job.partition("/")
            self.job = EphemeralJob(api, options, pod, container or None, archive, name)
            self._description = f"container {name} beside pod {printable(pod)}"
            self._hint = f"see what became of it by: {self._access.kubectl()} describe pod {shlex.quote(pod)}"

    @classmethod
    def help(cls) -> str:
        return help_text()

    def describe(self) -> str:
        return self._description

    @property
    def asks(self) -> bool:
        return self._api.asks

    def joined(self) -> None:
        super().joined()
        self._api.interactive = False

    def submit(self, request: JobRequest) -> None:
        if request.embedded is not None:
            raise Failure("a pod cannot reach a reflector of mlogin's own, on this machine; name one by --reflector")
        super().submit(request)

    def lost(self) -> str:
        return self._hint

    def cancel(self) -> None:
        with self._stack:
            super().cancel()

    def finish(self, grace: float, *, clean: bool) -> None:
        with self._stack:
            super().finish(grace, clean=clean)
