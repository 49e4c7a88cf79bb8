"""`mlogin --launcher kubernetes`: whatever ends a session that is not kept, nothing of it is left in the cluster."""

from __future__ import annotations

import functools
import random
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from medusa.client.timeouts import KubernetesTimeouts
from medusa.protocol.record import replace
from tests.kube.place import EAGER, Place
from tests.kube.stand_in import Cluster, containers
from tests.waiting import MS, Deadline, wait_until

pytestmark = containers

SESSION = ("--keep", "0", "-c", "trap '' TERM; echo here; while :; do sleep 0.1; done")
INTERRUPTIONS = 12
PATIENT = replace(EAGER, kubernetes=KubernetesTimeouts(last_words_timeout=8))
WAYS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL)


def evict(kube: Cluster) -> None:
    kube.evict(kube.pod())


def run_out(kube: Cluster) -> None:
    kube.run_out_of_memory(kube.pod())


def delete_pod(kube: Cluster) -> None:
    kube.delete("pods", kube.pod()["metadata"]["name"])


def delete_job(kube: Cluster) -> None:
    kube.delete("jobs", kube.objects("jobs")[0]["metadata"]["name"])


@pytest.mark.parametrize(
    ("end", "why"),
    [
        (evict, "ended: Evicted: The node was low on resource: memory"),
        (run_out, "ended: OOMKilled"),
        (delete_pod, "(is being deleted|failed, its pod is gone|was deleted)"),
        (delete_job, "(is being deleted|was deleted)"),
    ],
)
def test_the_cluster_or_another_user_ends_the_pod(
    here: Place, home: Path, end: Callable[[Cluster], None], why: str
) -> None:
    with here.terminal(home, options=SESSION, timeouts=PATIENT) as opened:
        opened.until("here\r\n")
        end(here.kube)
        opened.until(f"mlogin: Kubernetes job medusa-[0-9a-f]{{8}} {why}")
        opened.until("outcome unknown")
        assert opened.status() == 254


def test_a_killed_mlogin_leaves_nothing(here: Place, home: Path) -> None:
    with here.terminal(home, options=SESSION) as opened:
        opened.until("here\r\n")
        opened.process.kill()


def test_nothing_is_left_after_interruptions_at_random(here: Place, home: Path) -> None:
    """Each at a random moment between the first request and the session's end, by a random signal.

    The guards of killed sessions work while the next session runs.
    """
    chance = random.Random(5)
    for _ in range(INTERRUPTIONS):
        moment, way = Deadline(chance.uniform(0, 1500) * MS), chance.choice(WAYS)
        with here.terminal(home, options=SESSION) as opened:
            wait_until(functools.partial(getattr, moment, "passed"))
            opened.process.send_signal(way)
            opened.status()
