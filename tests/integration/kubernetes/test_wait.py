"""`mlogin --launcher kubernetes` while it waits for its pod: reasons on the screen, interruptions, silent clusters."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from medusa.client.timeouts import KubernetesTimeouts
from medusa.protocol.record import replace
from tests.kube.place import EAGER, Place, job_name
from tests.kube.stand_in import containers
from tests.terminals import Terminal
from tests.waiting import PATIENCE, wait_until

pytestmark = containers

NO_NODE = "0/3 nodes are available: 3 Insufficient cpu."
UP = ("-c", "echo here at last; exit 7")
SHORT = replace(EAGER, kubernetes=KubernetesTimeouts(url_lifetime=5, renewal_interval=0.25))
QUICK = replace(EAGER, kubernetes=KubernetesTimeouts(connect_timeout=3, close_timeout=1, retry_interval=0.1))


def up(opened: Terminal) -> None:
    opened.until("here at last")
    assert opened.status() == 7


def test_a_wait_longer_than_any_timeout(here: Place, home: Path) -> None:
    """Its first URL expires, and the reflector closes the waiting client more than once."""
    here.kube.knobs.unschedulable = f"{NO_NODE} preemption: 0/3 nodes are available: 3 No preemption victims found."
    renewals = here.kube.asked("patch", "secrets") + 21
    with here.terminal(home, options=UP, timeouts=SHORT) as opened:
        opened.until(f"job medusa-[0-9a-f]{{8}}: Pending: Unschedulable: {re.escape(NO_NODE)} ")
        opened.until("no agent came in time.*; attaching again until the job has its turn")
        wait_until(lambda: here.kube.asked("patch", "secrets") > renewals, "5.25 s of renewals", 3 * PATIENCE)
        here.kube.knobs.unschedulable = None
        up(opened)


def test_an_image_that_takes_long_to_pull(here: Place, home: Path) -> None:
    here.kube.knobs.pulling = True
    with here.terminal(home, options=UP) as opened:
        opened.until('ContainerCreating: Pulling: Pulling image "debian:12"')
        here.kube.knobs.pulling = False
        up(opened)


def test_an_image_without_python(here: Place, home: Path) -> None:
    run = here.run(home, image="busybox:1")
    assert run.returncode == 255
    assert "ended with status 127 before its agent appeared\n" in run.stderr
    assert "mlogin:   or the archive that brings its own Python: --archive agent-standalone.sh\n" in run.stderr
    assert "mlogin:   medusa agent: no Python 3.8 or later" in run.stderr


@pytest.mark.parametrize("way", ["^C", "SIGKILL"])
def test_nothing_is_left_if_the_user_stops_waiting(here: Place, home: Path, way: str) -> None:
    """After SIGKILL the guard reads the kubeconfig and deletes everything."""
    here.kube.knobs.unschedulable = NO_NODE
    with here.terminal(home) as opened:
        opened.until("Unschedulable")
        if way == "^C":
            opened.type(b"\x03")
        else:
            opened.process.kill()
        assert opened.status() == (130 if way == "^C" else -9)
        assert opened.modes() == opened.modes_at_start
    here.assert_clean()


def test_nothing_is_left_after_a_wait_timeout_while_the_objects_are_created(here: Place, home: Path) -> None:
    here.kube.knobs.unschedulable = NO_NODE
    run = here.run(home, options=("--wait-timeout", "0.01"))
    assert run.returncode == 255
    assert "mlogin: no agent after " in run.stderr
    here.assert_clean()


def test_a_cluster_that_does_not_answer_for_a_while(here: Place, home: Path) -> None:
    here.kube.knobs.unschedulable = NO_NODE
    with here.terminal(home, options=UP, timeouts=QUICK) as opened:
        opened.until("Unschedulable")
        here.kube.knobs.away = "reset"
        opened.until("Unschedulable: .*; https://localhost:[0-9]* does not answer: ")
        here.kube.knobs.away = here.kube.knobs.unschedulable = None
        up(opened)


def test_a_cluster_that_does_not_answer_at_the_end(here: Place, home: Path) -> None:
    """The user sees what to do; the guard goes on trying."""
    here.kube.knobs.unschedulable = NO_NODE
    with here.terminal(home, timeouts=QUICK) as opened:
        opened.until("Unschedulable")
        here.kube.knobs.away = "reset"
        opened.type(b"\x03")
        opened.until("not removed: job medusa-.*, secret medusa-.* \\(https://localhost:[0-9]+ does not answer: ")
        name = job_name(opened.screen)
        kubectl = f"kubectl --kubeconfig {here.kubeconfig} -n research delete job,secret,configmap"
        opened.until(re.escape(f"remove it by: {kubectl} -l app.kubernetes.io/instance={name}\r\n"))
        assert opened.status() == 130
        assert f"jobs/{name}" in here.kube.names()
        here.kube.knobs.away = None
        here.assert_clean()
