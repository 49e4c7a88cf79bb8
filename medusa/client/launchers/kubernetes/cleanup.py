"""Deletes the objects of one session in a cluster.

mlogin calls `delete_all` at its end. If mlogin is killed, its guard process runs this module as a program:

    python -m medusa.client.launchers.kubernetes.cleanup PLACE KIND/NAME ...

PLACE is JSON: {"kubeconfig": ..., "context": ..., "namespace": ..., "guard_timeout": ..., "retry_interval": ...}.

The program reads the kubeconfig itself, so its command line contains no secrets.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from medusa.client.launchers.kubernetes.cluster.access import Access
from medusa.client.launchers.kubernetes.cluster.api import KubeClient
from medusa.client.launchers.kubernetes.cluster.errors import NOT_FOUND, KubeError
from medusa.client.launchers.kubernetes.objects import INSTANCE
from medusa.client.launchers.polled import Clock
from medusa.client.timeouts import DEFAULT_TIMEOUTS, KubernetesTimeouts
from medusa.protocol.record import fields_of

LATE_REQUEST_DELAY = 3.0
"""Seconds that the program waits between its two rounds of deletion.

mlogin may have sent a request just before it was killed. After this time the request has taken effect, and the second
round deletes what it has created.
"""

Key = tuple[str, str]
"""The kind and the name of an object."""


class Deleter(Protocol):
    """The type of a client that deletes objects. KubeClient is one."""

    def delete(self, kind: str, name: str) -> None: ...


def delete_all(
    api: Deleter,
    keys: Sequence[Key],
    timeout: float,
    retry_interval: float = DEFAULT_TIMEOUTS.kubernetes.retry_interval,
    clock: Clock = time,
) -> dict[Key, KubeError]:
    """Deletes objects in the order of `keys`. Retries temporary failures for up to `timeout` seconds.

    Args:
        keys: the kind and the name of each object.
        retry_interval: seconds between two tries.
        clock: the module `time`, or the clock of a test.

    Returns:
        The objects that could not be deleted, each with the error.
    """
    deadline = clock.monotonic() + timeout
    while True:
        failed = {}
        for key in keys:
            try:
                api.delete(*key)
            except KubeError as error:
                if error.status != NOT_FOUND:
                    failed[key] = error
                if error.status is None:  # the cluster does not answer: do not try the other objects now
                    failed.update(dict.fromkeys(keys[keys.index(key) :], error))
                    break
        keys = [key for key in keys if key in failed and failed[key].temporary]
        if not keys or clock.monotonic() >= deadline:
            return failed
        clock.sleep(retry_interval)


def kubectl_command(access: Access, name: str) -> str:
    """Returns the kubectl command by which a user can delete all objects of the session `name`."""
    return f"{access.kubectl()} delete job,secret,configmap -l {INSTANCE}={name}"


def guard_command(access: Access, keys: Sequence[Key], timeouts: KubernetesTimeouts) -> list[str]:
    """Returns the command that runs this module to delete the objects `keys`.

    The guard process runs the command if mlogin is killed.

    Args:
        access: the cluster, the user and the namespace.
        keys: the kind and the name of each object.
    """
    times = {"guard_timeout": timeouts.guard_timeout, "retry_interval": timeouts.retry_interval}
    place = json.dumps({**fields_of(access), **times})
    return [sys.executable, "-m", __name__, place, *(f"{kind}/{name}" for kind, name in keys)]


def main(argv: Sequence[str]) -> int:
    place = json.loads(argv[0])
    times = (place.pop("guard_timeout"), place.pop("retry_interval"))
    keys = [(kind, name) for kind, _, name in (word.partition("/") for word in argv[1:])]
    with tempfile.TemporaryDirectory(prefix="medusa-") as directory:
        api = KubeClient(Access(**place), Path(directory))
        delete_all(api, keys, *times)
        time.sleep(LATE_REQUEST_DELAY)
        return 1 if delete_all(api, keys, *times) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
