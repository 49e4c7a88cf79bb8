"""Finds the cluster in the same way as kubectl: from the kubeconfig, or from the credentials of a pod."""

from __future__ import annotations

import importlib
import os
import shlex
from pathlib import Path

from medusa.client.launchers.kubernetes.cluster.errors import config_words
from medusa.client.outcome import Failure, pip_install
from medusa.protocol.printable import printable
from medusa.protocol.record import record

DEFAULT_NAMESPACE = "default"
IN_POD = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""The directory in a pod that contains the pod's credentials for its cluster."""

NOT_INSTALLED = "the launcher `kubernetes` needs the official client of Kubernetes: " + pip_install("kubernetes")


@record
class Access:
    """The choice of a cluster, a user and a namespace. It contains no secrets.

    Attributes:
        kubeconfig: the absolute paths of the kubeconfig files, joined as in the variable KUBECONFIG. None if mlogin
            runs in a pod and uses the pod's credentials.
        context: the name of the context; None for the current context.
        namespace: the name of the namespace.
    """

    kubeconfig: str | None
    context: str | None
    namespace: str

    def kubectl(self) -> str:
        """Returns the beginning of a kubectl command for this cluster and namespace."""
        config = ["--kubeconfig", self.kubeconfig] if self.kubeconfig and os.pathsep not in self.kubeconfig else []
        context = ["--context", self.context] if self.context else []
        return shlex.join(["kubectl", *config, *context, "-n", self.namespace])


def require_client() -> None:
    """Raises Failure if the official client is not installed. It is an optional dependency."""
    try:
        importlib.import_module("kubernetes")
    except ImportError:
        raise Failure(NOT_INSTALLED) from None


def find_access(kubeconfig: str | None, context: str | None, namespace: str | None) -> Access:
    """Finds the cluster in the same way as kubectl. Returns the cluster, the user and the namespace to use.

    Reads the file `kubeconfig`. If that is None, reads the files in the variable KUBECONFIG, or ~/.kube/config. If
    these do not exist either, and mlogin runs in a pod, uses the credentials of this pod.

    Args:
        context: the name of the context; None for the current context.
        namespace: the name of the namespace; None for the namespace of the context or of the pod.

    Raises:
        Failure: there are no credentials, or the file is invalid or has no such context.
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
    except yaml.YAMLError:  # the error's text may quote secrets of the file
        raise Failure(f"the launcher `kubernetes`: {printable(files)} is not YAML") from None
    except (config.ConfigException, OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise Failure(f"the launcher `kubernetes`: {config_words(error)} ({printable(files)})") from None
    wanted = next((one for one in contexts if one["name"] == context), None) if context else current
    if wanted is None:
        raise Failure(f"the launcher `kubernetes`: {printable(files)} has no context {printable(str(context))}")
    return Access(files, context, namespace or wanted["context"].get("namespace") or DEFAULT_NAMESPACE)
