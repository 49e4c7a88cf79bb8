"""`mlogin --launcher kubernetes --job POD`: a session in an ephemeral container of a pod that runs."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from medusa.client.archive import find_archive
from tests.kube.place import Place, place
from tests.kube.stand_in import containers
from tests.terminals import assert_nothing_left, processes_of
from tests.waiting import wait_until

pytestmark = containers

POD = "theirs-1"
HERE = ("--job", POD, "-c", "echo here; read x; exit $x")


@pytest.fixture
def here(shared: Place) -> Iterator[Place]:
    """The cluster with a pod that runs. Fails a test that ends the pod, or leaves something in the cluster."""
    shared.kube.knobs.reset()
    shared.kube.start_pod(POD)
    yield shared
    shared.kube.knobs.reset()
    if f"pods/{POD}" in shared.kube.names():
        assert shared.kube.pod()["status"]["phase"] == "Running"
        shared.kube.delete("pods", POD)
    shared.assert_clean()


def added_state(here: Place) -> dict[str, object]:
    state: dict[str, object] = here.kube.pod()["status"]["ephemeralContainerStatuses"][0]["state"]
    return state


def test_the_pod_holds_no_secret_of_a_session(here: Place, home: Path) -> None:
    with here.terminal(home, "--env", "COLOUR=red", options=HERE) as opened:
        opened.until(f"waiting for container medusa-[0-9a-f]{{8}} beside pod {POD}: ")
        opened.until("here\r\n")
        (added,) = here.kube.pod()["spec"]["ephemeralContainers"]
        assert added["targetContainerName"] == "main"
        assert added["env"] == [{"name": "COLOUR", "value": "red"}]
        seen = json.dumps([here.kube.pod(), here.kube.objects("events")]) + "".join(processes_of(home).values())
        assert "signature" not in seen
        assert here.reflector.url.partition("//")[2] + "/" not in json.dumps(here.kube.pod())
        opened.type("7\r")
        assert opened.status() == 7
    wait_until(lambda: "terminated" in added_state(here), "the end of the container")


def test_a_session_by_tls(home: Path, tmp_path: Path) -> None:
    with place(tmp_path, tls=True) as there:
        there.kube.start_pod(POD)
        run = there.run(home, options=("--job", POD, "-c", "exit 7"))
        assert run.returncode == 7, run.stderr
        there.kube.delete("pods", POD)
        there.assert_clean()


@pytest.mark.parametrize("way", [b"\r~.", signal.SIGTERM, signal.SIGKILL])
def test_the_container_ends_with_its_session(here: Place, home: Path, way: bytes | signal.Signals) -> None:
    with here.terminal(home, options=HERE) as opened:
        opened.until("here\r\n")
        if isinstance(way, bytes):
            opened.type(way)
        else:
            opened.process.send_signal(way)
        assert opened.status() == (-9 if way == signal.SIGKILL else 254)
        wait_until(lambda: "terminated" in added_state(here), "the end of the container")
    assert_nothing_left(home)


def test_a_deleted_pod_ends_the_session(here: Place, home: Path) -> None:
    with here.terminal(home, options=HERE) as opened:
        opened.until("here\r\n")
        here.kube.delete("pods", POD)
        assert opened.status() == 254


def test_an_archive_with_any_bytes(here: Place, home: Path, tmp_path: Path) -> None:
    """The archive that brings its own Python is such a one."""
    (tmp_path / "any.sh").write_bytes(find_archive().read_bytes() + b"# \0\xff\n")
    run = here.run(home, options=("--job", f"{POD}/main", "--archive", str(tmp_path / "any.sh")))
    assert run.returncode == 255
    assert "agent.sh': damaged" in run.stderr  # the agent itself says so: all of it has arrived


def test_an_image_that_is_published_late(here: Place, home: Path) -> None:
    with here.terminal(home, options=HERE, image="debian:13") as opened:
        opened.until(f"beside pod {POD}: ErrImagePull: not found")
        here.kube.knobs.images["debian:13"] = "full"
        opened.until("here\r\n")
        opened.type("7\r")
        assert opened.status() == 7


def test_a_container_without_an_agent_stays_for_a_while_and_the_user_sees_that(here: Place, home: Path) -> None:
    with here.terminal(home, options=HERE, image="debian:13") as opened:
        opened.until("ErrImagePull")
        opened.type(b"\x03")
        opened.until(f"container medusa-[0-9a-f]{{8}} of pod {POD} ends by itself, in 10 minutes")
        assert opened.status() == 255


@pytest.mark.parametrize(
    ("job", "arguments", "why"),
    [
        ("none", [], 'get pods: pods "none" not found (404)'),
        (f"{POD}/none", [], f"pod {POD} has no container none, but main"),
        (POD, ["--cpu", "1"], "the launcher `kubernetes`: with --job, only --image, --namespace, --context, "),
    ],
)
def test_unusable_arguments_are_refused(here: Place, home: Path, job: str, arguments: list[str], why: str) -> None:
    run = here.run(home, *arguments, options=("--job", job))
    assert run.returncode == 255
    assert why in run.stderr


@pytest.mark.parametrize(("verb", "what"), [("patch", "patch pods/ephemeralcontainers"), ("get", "get pods: ")])
def test_a_missing_right_is_named(here: Place, home: Path, verb: str, what: str) -> None:
    here.kube.knobs.forbidden.add((verb, "pods"))
    run = here.run(home, options=("--job", POD))
    assert run.returncode == 255
    assert f"mlogin:   {what}" in run.stderr
    assert "(403)" in run.stderr
