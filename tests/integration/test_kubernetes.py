"""`mlogin --launcher kubernetes`: sessions in pods of a stand-in (tests/kube says what it is, and what it is not)."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from medusa.client.archive import find_archive
from tests.kube.place import LOGIN, Place, documented_yaml, job_name, place
from tests.kube.stand_in import OWNER, containers
from tests.terminals import assert_nothing_left, processes_of
from tests.waiting import wait_until

pytestmark = containers


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("kube")) as found:
        yield found


@pytest.fixture
def here(shared: Place) -> Iterator[Place]:
    """Fails a test that leaves something in the cluster."""
    yield shared
    shared.assert_clean()


def test_a_command_and_its_status(here: Place, home: Path) -> None:
    run = here.run(home, options=("-c", "echo in $HOSTNAME; exit 7"))
    name = job_name(run.stderr)
    assert run.returncode == 7, run.stderr
    assert run.stdout.startswith(f"in {name}-")
    assert run.stderr.endswith("mlogin: session complete\n")
    here.assert_clean()


def test_nothing_secret_is_in_the_pod_or_in_a_command_line(here: Place, home: Path) -> None:
    """The config is in the Secret, which its Job owns; the key of it all is the URL's signature."""
    with here.terminal(home, options=("-c", "read x; exit $x")) as opened:
        opened.until("waiting for Kubernetes job")
        pod = here.kube.pod()
        wait_until(here.kube.running, "the container")
        wait_until(lambda: "ownerReferences" in here.kube.objects("secrets")[0]["metadata"], "all of its set-up")
        (job,), (secret,) = here.kube.objects("jobs"), here.kube.objects("secrets")
        config = json.loads(base64.b64decode(secret["data"]["config.json"]))
        assert "signature=" in config["signed_url"]
        assert [owner["uid"] for owner in secret["metadata"]["ownerReferences"]] == [job["metadata"]["uid"]]
        seen = json.dumps([pod, job, here.kube.objects("events")]) + "".join(processes_of(home).values())
        assert "signature" not in seen
        assert config["signed_url"].partition("?")[0] not in seen
        assert pod["spec"]["automountServiceAccountToken"] is False
        opened.type("9\r")
        assert opened.status() == 9


def test_a_terminal_that_the_user_leaves(here: Place, home: Path) -> None:
    with here.terminal(home, "--time", "1h", options=("-c", "echo here; cat")) as opened:
        opened.until("here\r\n")

        def information() -> str:
            opened.type("\r~i")
            return opened.until("session    (.|\n)*bytes sent").group().decode()

        shown = wait_until(lambda: [told for told in [information()] if "ends in" in told], "news of the pod")[0]
        assert f"as         account {LOGIN}, key " in shown
        assert re.search("job        Kubernetes job medusa-[0-9a-f]{8}: running on node-1\r\n", shown)
        assert re.search("ends in    (59 min|1 h)", shown)
        opened.type("\r~.")
        assert opened.status() == 254
        assert opened.modes() == opened.modes_at_start


def test_what_can_be_wished_for(here: Place, home: Path, tmp_path: Path) -> None:
    overrides = tmp_path / "pod.yaml"
    overrides.write_text("priorityClassName: low\ncontainers:\n- name: medusa\n  workingDir: /srv\n")
    wishes = ["--cpu", "500m", "--memory", "1Gi", "--gpu", "1", "--node-selector", "disk=ssd", "--env", "COLOUR=red"]
    wishes += ["--pull-secret", "mine", "--label", "team=blue", "--service-account", "runner"]
    with here.terminal(home, *wishes, "--overrides", str(overrides), options=("-c", "read x; echo $COLOUR")) as opened:
        spec = here.kube.pod()["spec"]
        (container,) = spec["containers"]
        quantities = {"cpu": "500m", "memory": "1Gi", "nvidia.com/gpu": "1"}
        assert container["resources"] == {"requests": quantities, "limits": quantities}
        assert (spec["nodeSelector"], spec["imagePullSecrets"]) == ({"disk": "ssd"}, [{"name": "mine"}])
        assert (spec["serviceAccountName"], spec["automountServiceAccountToken"]) == ("runner", True)
        assert (spec["priorityClassName"], container["workingDir"]) == ("low", "/srv")
        assert here.kube.pod()["metadata"]["labels"]["team"] == "blue"
        wait_until(here.kube.running, "the container")
        opened.type("\r")
        opened.until("red")
        assert opened.status() == 0


def test_a_namespace_that_asks_for_restricted_pods(here: Place, home: Path, tmp_path: Path) -> None:
    """No root, and nothing to write on but what is mounted: by the overrides that docs/launchers.md shows."""
    (block,) = [block for block in documented_yaml() if "runAsNonRoot" in block]
    (tmp_path / "pod.yaml").write_text(block)
    run = here.run(home, "--overrides", str(tmp_path / "pod.yaml"), options=("-c", "id -u; : >/tmp/x; : >/x || exit 7"))
    assert (run.returncode, run.stdout.splitlines()[0]) == (7, "65534"), run.stderr


def test_an_archive_that_one_object_has_no_room_for(here: Place, home: Path, tmp_path: Path) -> None:
    """It is split, put together in the container, and runs where the root is read-only."""
    noise = "\n".join(f"{number:0100d}" for number in range(25_000))
    text = f": <<'NOISE'\n{noise}\nNOISE\ncat >$TMPDIR/lean.sh <<'LEAN'\n{find_archive().read_text()}LEAN\n"
    (tmp_path / "big.sh").write_text("#!/bin/sh\nTMPDIR=/tmp\n" + text + 'exec sh $TMPDIR/lean.sh "$@"\n')
    options = ("--archive", str(tmp_path / "big.sh"), "-c", "read x; exit 7")
    with here.terminal(home, options=options) as opened:
        here.kube.pod()
        assert len(here.kube.names("configmaps")) == 3
        wait_until(here.kube.running, "the container")
        opened.type("\r")
        assert opened.status() == 7
    here.assert_clean()


@pytest.mark.parametrize("certificate", [False, True])
def test_by_tls_with_a_token_or_a_certificate(home: Path, tmp_path: Path, *, certificate: bool) -> None:
    """The client writes keys to files: they lie in a private directory, and go."""
    with place(tmp_path, tls=True) as there:
        there.kube.write_kubeconfig(there.kubeconfig, certificate=certificate)
        run = there.run(home, options=("-q", "-c", "exit 7"))
        assert (run.returncode, run.stderr) == (7, "")
        assert there.kube.users_asking() == {OWNER}
        there.assert_clean()
    assert_nothing_left(home)


def test_no_reflector_of_mlogins_own(here: Place, home: Path) -> None:
    before = len(here.kube.asked("create", "secrets"))
    arguments = here.arguments()
    at = arguments.index("--reflector")
    del arguments[at : arguments.index("--")]
    run = here.run_words(home, arguments)
    assert run.returncode == 255
    assert "a pod cannot reach a reflector of mlogin's own, on this machine; name one by --reflector" in run.stderr
    assert len(here.kube.asked("create", "secrets")) == before
