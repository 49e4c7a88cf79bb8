"""`mlogin --launcher kubernetes --job POD`: a session in an ephemeral container of a pod that runs."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kube.place import Place
from tests.kube.stand_in import containers
from tests.terminals import processes_of
from tests.waiting import wait_until

pytestmark = containers

POD = "theirs-1"
HERE = ("--job", POD, "--keep", "0", "-c", "echo here; read x; exit $x")


@pytest.fixture
def here(here: Place) -> Iterator[Place]:
    """A cluster with a pod that runs. Fails a test that ends the pod."""
    here.kube.start_pod(POD)
    here.user = "medusa-beside"
    yield here
    here.user = "medusa"
    if f"pods/{POD}" in here.kube.names():
        assert here.kube.pod()["status"]["phase"] == "Running"
        here.kube.delete("pods", POD)


def wait_for_the_end_of_the_container(here: Place) -> None:
    def terminated() -> bool:
        return "terminated" in here.kube.pod()["status"]["ephemeralContainerStatuses"][0]["state"]

    wait_until(terminated, "the end of the container")


def test_the_pod_holds_no_secret_of_a_session(here: Place, home: Path) -> None:
    with here.terminal(home, "--env", "COLOUR=red", options=HERE) as opened:
        opened.until(f"waiting for container medusa-[0-9a-f]{{8}} beside pod {POD}: ")
        opened.until("here\r\n")
        (added,) = here.kube.pod()["spec"]["ephemeralContainers"]
        assert added["targetContainerName"] == "main"
        assert added["env"] == [{"name": "COLOUR", "value": "red"}]
        assert "signature" not in json.dumps(here.kube.pod()) + "".join(processes_of(home).values())
        assert here.reflector.url.partition("//")[2] + "/" not in json.dumps(here.kube.pod())
        opened.type("7\r")
        assert opened.status() == 7
    wait_for_the_end_of_the_container(here)


@pytest.mark.parametrize("way", ["escape", "SIGKILL"])
def test_the_container_ends_with_its_session(here: Place, home: Path, way: str) -> None:
    with here.terminal(home, options=HERE) as opened:
        opened.until("here\r\n")
        if way == "escape":
            opened.type("\r~.")
            assert opened.status() == 254
        else:
            opened.process.kill()
            assert opened.status() == -signal.SIGKILL
        wait_for_the_end_of_the_container(here)


def test_a_deleted_pod_ends_the_session(here: Place, home: Path) -> None:
    with here.terminal(home, options=HERE) as opened:
        opened.until("here\r\n")
        here.kube.delete("pods", POD)
        assert opened.status() == 254


def test_an_image_that_is_published_late(here: Place, home: Path) -> None:
    with here.terminal(home, options=("--job", f"{POD}/main", *HERE[2:]), image="debian:13") as opened:
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
        assert opened.status() == 130


@pytest.mark.parametrize(
    ("job", "forbidden", "why"),
    [
        ("none", None, 'get pods: pods "none" not found (404)'),
        (f"{POD}/none", None, f"pod {POD} has no container none, but main"),
        (POD, ("patch", "pods"), "patch pods/ephemeralcontainers: pods is forbidden"),
    ],
)
def test_a_container_that_cannot_be_added(
    here: Place, home: Path, job: str, forbidden: tuple[str, str] | None, why: str
) -> None:
    here.kube.knobs.forbidden |= {forbidden} if forbidden else set()
    run = here.run(home, options=("--job", job))
    assert run.returncode == 255
    assert f"mlogin:   {why}" in run.stderr
