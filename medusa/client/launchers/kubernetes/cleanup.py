"""Removing what one session has in a cluster: by mlogin at its end, by its guard if mlogin is killed.

    python -m medusa.client.launchers.kubernetes.cleanup PLACE KIND/NAME ...

PLACE is JSON: {"kubeconfig": ..., "context": ..., "namespace": ...}.

It reads the kubeconfig anew: nothing secret stands in a command line.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from medusa.client.launchers.kubernetes.api import Access, Kube
from medusa.client.launchers.kubernetes.errors import NOT_FOUND, KubeError
from medusa.client.launchers.kubernetes.objects import INSTANCE

PATIENCE = 50.0
"""Seconds that the guard tries for."""

LATE = 3.0
"""Seconds after which what mlogin had asked for in its last moment is there."""

PAUSE = 1.0
"""Seconds between two tries."""

Thing = tuple[str, str]
"""Kind and name."""


class Deleter(Protocol):
    """What is used of medusa.client.launchers.kubernetes.api.Kube."""

    def delete(self, kind: str, name: str) -> None: ...


def remove(
    api: Deleter,
    things: Sequence[Thing],
    patience: float,
    clock: Callable[[], float] = time.monotonic,
    nap: Callable[[float], object] = time.sleep,
) -> dict[Thing, KubeError]:
    """Deletes in this order, again and again where the cluster does not answer, for so many seconds.

    Returns:
        What is left, and why.
    """
    deadline = clock() + patience
    while True:
        left = {}
        for thing in things:
            try:
                api.delete(*thing)
            except KubeError as error:
                if error.status != NOT_FOUND:
                    left[thing] = error
                if error.status is None:  # nor will it answer the next
                    left.update(dict.fromkeys(things[things.index(thing) :], error))
                    break
        things = [thing for thing in things if thing in left and left[thing].passing]
        if not things or clock() >= deadline:
            return left
        nap(PAUSE)


def kubectl(access: Access, name: str) -> str:
    """How a user removes all of it."""
    return f"{access.kubectl()} delete job,secret,configmap -l {INSTANCE}={name}"


def command(access: Access, things: Sequence[Thing]) -> list[str]:
    """For the guard."""
    words = [f"{kind}/{name}" for kind, name in things]
    return [sys.executable, "-m", __name__, json.dumps(dataclasses.asdict(access)), *words]


def main(argv: Sequence[str]) -> int:
    access = Access(**json.loads(argv[0]))
    things = [(kind, name) for kind, _, name in (word.partition("/") for word in argv[1:])]
    with tempfile.TemporaryDirectory(prefix="medusa-") as directory:
        api = Kube(access, Path(directory))
        remove(api, things, PATIENCE)
        time.sleep(LATE)
        return 1 if remove(api, things, PATIENCE) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
