"""`mlogin --launcher kubernetes` while it waits for its pod: reasons on the screen, interruptions, silent clusters."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from medusa.client.timeouts import KubernetesTimeouts
from tests.kube.place import EAGER, Place, job_name, place
from tests.kube.stand_in import containers
from tests.terminals import Terminal
from tests.waiting import PATIENCE, wait_until

pytestmark = containers

NO_NODE = "0/3 nodes are available: 3 Insufficient cpu."
UP = ("-c", "echo here at last; exit 7")
SHORT = replace(EAGER, kubernetes=KubernetesTimeouts(url_lifetime=10, renewal_interval=0.5))
QUICK = replace(
    EAGER,
    kubernetes=KubernetesTimeouts(connect_timeout=3, answer_timeout=3, close_timeout=1, retry_interval=0.1),
)
RETRY_SOON = replace(EAGER, kubernetes=KubernetesTimeouts(retry_interval=0.1))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("kube"), "--wait-timeout", "3") as found:
        yield found


def up(opened: Terminal) -> None:
    opened.until("here at last")
    assert opened.status() == 7


def test_a_pod_waits_for_a_node(here: Place, home: Path) -> None:
    here.kube.knobs.unschedulable = f"{NO_NODE} preemption: 0/3 nodes are available: 3 No preemption victims found."
    with here.terminal(home, options=UP) as opened:
        opened.until(f"job medusa-[0-9a-f]{{8}}: Pending: Unschedulable: {re.escape(NO_NODE)} ")
        here.kube.knobs.unschedulable = None
        up(opened)


def test_a_wait_longer_than_any_timeout(here: Place, home: Path) -> None:
    """Its first URL expires, and the reflector closes the waiting client more than once."""
    here.kube.knobs.unschedulable = NO_NODE
    before = len(here.kube.asked("patch", "secrets"))
    with here.terminal(home, options=UP, timeouts=SHORT) as opened:
        opened.until("no agent came in time.*; attaching again until the job has its turn")
        renewals = before + 21
        wait_until(lambda: len(here.kube.asked("patch", "secrets")) > renewals, "10.5 s of renewals", 3 * PATIENCE)
        here.kube.knobs.unschedulable = None
        up(opened)


def test_an_image_that_is_published_late(here: Place, home: Path) -> None:
    with here.terminal(home, options=UP, image="debian:13") as opened:
        opened.until('(ErrImagePull|ImagePullBackOff): .*"debian:13".*not found')
        opened.until('ImagePullBackOff: Back-off pulling image "debian:13": ')
        here.kube.knobs.images["debian:13"] = "full"
        up(opened)


def test_an_image_that_takes_long_to_pull(here: Place, home: Path) -> None:
    here.kube.knobs.pulling = True
    with here.terminal(home, options=UP) as opened:
        opened.until('ContainerCreating: Pulling: Pulling image "debian:12"')
        here.kube.knobs.pulling = False
        up(opened)


def test_a_volume_that_does_not_exist(here: Place, home: Path, tmp_path: Path) -> None:
    volume = {"name": "mine", "projected": {"sources": [{"configMap": {"name": "missing"}}]}}
    (tmp_path / "pod.json").write_text(json.dumps({"volumes": [volume]}))
    with here.terminal(home, "--overrides", str(tmp_path / "pod.json")) as opened:
        opened.until('ContainerCreating: FailedMount: MountVolume.SetUp failed .*configmaps "missing" not found')
        opened.type(b"\x03")
        assert opened.status() == 255


def test_a_quota_that_is_used_up_for_a_while(here: Place, home: Path) -> None:
    here.kube.knobs.quota = 'pods "medusa-x" is forbidden: exceeded quota: compute, requested: pods=1, used: pods=4'
    with here.terminal(home, options=UP) as opened:
        opened.until("no pod: Error creating: .* exceeded quota: compute")
        here.kube.knobs.quota = None
        up(opened)


@pytest.mark.parametrize(
    ("image", "overrides", "why"),
    [
        ("Debian:12", {}, 'InvalidImageName: Failed to apply default image tag "Debian:12": invalid reference format'),
        (
            "debian:13",
            {"containers": [{"name": "medusa", "imagePullPolicy": "Never"}]},
            'ErrImageNeverPull: Container image "debian:13" is not present with pull policy of Never',
        ),
        ("registry.test/nothing:1", {}, r"ended: StartError: .*\"sh\": executable file not found in \$PATH"),
    ],
)
def test_an_image_that_can_never_run_ends_the_wait(
    here: Place, home: Path, tmp_path: Path, image: str, overrides: dict[str, object], why: str
) -> None:
    (tmp_path / "pod.json").write_text(json.dumps(overrides))
    run = here.run(home, "--overrides", str(tmp_path / "pod.json"), image=image)
    assert run.returncode == 255
    assert re.search(f"^mlogin: Kubernetes job medusa-.* {why}.* before its agent appeared$", run.stderr, re.MULTILINE)


def test_a_pod_that_is_never_admitted_ends_the_wait(here: Place, home: Path) -> None:
    here.kube.knobs.quota = 'pods "medusa-x" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot'
    run = here.run(home)
    assert run.returncode == 255
    assert "no pod: Error creating: pods" in run.stderr
    assert 'violates PodSecurity "restricted:latest": runAsNonRoot before its agent appeared' in run.stderr


def test_an_image_without_python(here: Place, home: Path) -> None:
    run = here.run(home, image="busybox:1")
    assert run.returncode == 255
    assert "ended with status 127 before its agent appeared\n" in run.stderr
    assert "mlogin:   or the archive that brings its own Python: --archive agent-standalone.sh\n" in run.stderr
    assert "mlogin:   medusa agent: no Python 3.8 or later" in run.stderr


@pytest.mark.parametrize("how", ["deleted", "evicted", "job deleted"])
def test_another_user_or_the_cluster_ends_a_waiting_pod(here: Place, home: Path, how: str) -> None:
    here.kube.knobs.pulling = True
    with here.terminal(home) as opened:
        opened.until("ContainerCreating")
        if how == "deleted":
            here.kube.delete("pods", here.kube.pod()["metadata"]["name"])
            why = "(failed, its pod is gone|is being deleted)"
        elif how == "evicted":
            here.kube.evict(here.kube.pod())
            why = "ended: Evicted: The node was low on resource: memory.*"
        else:
            here.kube.delete("jobs", job_name(opened.screen))
            why = "(was deleted|is being deleted)"
        opened.until(f"mlogin: Kubernetes job medusa-[0-9a-f]{{8}} {why} before its agent appeared")
        assert opened.status() == 255


@pytest.mark.parametrize("way", ["^C", signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_nothing_is_left_if_the_user_stops_waiting(here: Place, home: Path, way: object) -> None:
    """After SIGKILL the guard reads the kubeconfig and deletes everything."""
    here.kube.knobs.unschedulable = NO_NODE
    with here.terminal(home) as opened:
        opened.until("Unschedulable")
        if way == "^C":
            opened.type(b"\x03")
        else:
            assert isinstance(way, signal.Signals)
            opened.process.send_signal(way)
        assert opened.status() == (-9 if way == signal.SIGKILL else 255)
        assert opened.modes() == opened.modes_at_start
    here.assert_clean()


@pytest.mark.parametrize("seconds", ["0.01", "1"])
def test_nothing_is_left_after_the_wait_timeout(here: Place, home: Path, seconds: str) -> None:
    """Also if it ends while the objects are being created."""
    here.kube.knobs.unschedulable = NO_NODE
    run = here.run(home, options=("--wait-timeout", seconds))
    assert run.returncode == 255
    assert "mlogin: no agent after " in run.stderr
    here.assert_clean()


@pytest.mark.parametrize("how", ["reset", "unavailable", "silent"])
def test_a_cluster_that_does_not_answer_for_a_while(here: Place, home: Path, how: str) -> None:
    here.kube.knobs.unschedulable = NO_NODE
    with here.terminal(home, options=UP, timeouts=QUICK) as opened:
        opened.until("Unschedulable")
        here.kube.knobs.away = how
        opened.until("Unschedulable: .*; (http://127.0.0.1:[0-9]* does not answer: |get jobs.batch: .*503)")
        here.kube.knobs.away = here.kube.knobs.unschedulable = None
        up(opened)


def test_lost_answers_lead_to_no_second_object(here: Place, home: Path) -> None:
    """Nor is an object forgotten that was created by a request without an answer."""
    here.kube.knobs.lost += [("create", "jobs"), ("delete", "jobs"), ("delete", "secrets")]
    with here.terminal(home, options=UP, timeouts=RETRY_SOON) as opened:
        up(opened)
    assert here.kube.knobs.lost == []
    assert "not removed" not in opened.screen.decode()


def test_a_cluster_that_does_not_answer_at_the_end(here: Place, home: Path) -> None:
    """The user sees what to do; the guard goes on trying."""
    here.kube.knobs.unschedulable = NO_NODE
    with here.terminal(home, timeouts=QUICK) as opened:
        opened.until("Unschedulable")
        here.kube.knobs.away = "reset"
        opened.type(b"\x03")
        opened.until("not removed: job medusa-.*, secret medusa-.* \\(http://127.0.0.1:[0-9]+ does not answer: ")
        name = job_name(opened.screen)
        kubectl = f"kubectl --kubeconfig {here.kubeconfig} -n research delete job,secret,configmap"
        opened.until(re.escape(f"remove it by: {kubectl} -l app.kubernetes.io/instance={name}\r\n"))
        assert opened.status() == 255
        assert f"jobs/{name}" in here.kube.names()
        here.kube.knobs.away = None
        here.assert_clean()


def test_a_cluster_that_never_answers(here: Place, home: Path) -> None:
    here.kube.knobs.away = "reset"
    run = here.run(home)
    assert run.returncode == 255
    assert "failed before its agent appeared\nmlogin:   http://127.0.0.1:" in run.stderr
    assert " does not answer: " in run.stderr
    assert "not removed" not in run.stderr
    here.kube.knobs.away = None


def test_an_unknown_token(here: Place, home: Path) -> None:
    here.kube.write_kubeconfig(here.kubeconfig, token="stolen")
    try:
        run = here.run(home)
    finally:
        here.kube.write_kubeconfig(here.kubeconfig)
    assert run.returncode == 255
    assert "mlogin:   create secrets: Unauthorized (401)\n" in run.stderr
    assert "stolen" not in run.stderr
    assert "not removed" not in run.stderr
