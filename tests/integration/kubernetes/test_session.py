"""`mlogin --launcher kubernetes`: sessions in pods of the stand-in for a cluster, which tests/kube describes."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import pytest

from medusa.client.archive import find_archive
from tests.kube.place import LOGIN, Place, documented_yaml, job_name, place
from tests.kube.stand_in import OWNER, containers
from tests.terminals import assert_nothing_left, processes_of
from tests.waiting import wait_until

pytestmark = containers


def test_a_command_and_its_status(here: Place, home: Path) -> None:
    run = here.run(home, options=("-c", "echo in $HOSTNAME; exit 7"))
    name = job_name(run.stderr)
    assert run.returncode == 7, run.stderr
    assert run.stdout.startswith(f"in {name}-")
    assert run.stderr.endswith("mlogin: session complete\n")
    here.assert_clean()


def test_no_pod_and_no_command_line_holds_the_secret_url(here: Place, home: Path) -> None:
    """Only the Secret does, which belongs to the Job."""
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


def test_the_user_leaves_a_session_on_a_terminal(here: Place, home: Path) -> None:
    with here.terminal(home, "--time", "1h", options=("-c", "echo here; cat")) as opened:
        opened.until("here\r\n")

        def information() -> str:
            opened.type("\r~i")
            return opened.until("session    (.|\n)*bytes sent").group().decode()

        shown = wait_until(lambda: [text for text in [information()] if "ends in" in text], "the status of the pod")[0]
        assert f"as         account {LOGIN}, key " in shown
        assert re.search("job        Kubernetes job medusa-[0-9a-f]{8}: running on node-1\r\n", shown)
        assert re.search("ends in    (59 min|1 h)", shown)
        opened.type("\r~.")
        assert opened.status() == 254
        assert opened.modes() == opened.modes_at_start


def test_all_options_are_in_the_pod(here: Place, home: Path, tmp_path: Path) -> None:
    overrides = tmp_path / "pod.yaml"
    overrides.write_text("priorityClassName: low\ncontainers:\n- name: medusa\n  workingDir: /srv\n")
    options = ["--cpu", "500m", "--memory", "1Gi", "--gpu", "1", "--node-selector", "disk=ssd", "--env", "COLOUR=red"]
    options += ["--pull-secret", "mine", "--label", "team=blue", "--service-account", "runner"]
    with here.terminal(home, *options, "--overrides", str(overrides), options=("-c", "read x; echo $COLOUR")) as opened:
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


def test_a_namespace_that_admits_only_restricted_pods(here: Place, home: Path, tmp_path: Path) -> None:
    """With the overrides that docs/launchers.md shows: no root, and only mounted directories are writable."""
    (block,) = [block for block in documented_yaml() if "runAsNonRoot" in block]
    (tmp_path / "pod.yaml").write_text(block)
    run = here.run(home, "--overrides", str(tmp_path / "pod.yaml"), options=("-c", "id -u; : >/tmp/x; : >/x || exit 7"))
    assert (run.returncode, run.stdout.splitlines()[0]) == (7, "65534"), run.stderr


def test_an_archive_too_large_for_one_object(here: Place, home: Path, tmp_path: Path) -> None:
    """It is split, and joined in the container."""
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
def test_tls_with_a_token_or_a_certificate(home: Path, tmp_path: Path, *, certificate: bool) -> None:
    """The client writes keys to files in a private directory, which is removed."""
    with place(tmp_path, tls=True) as there:
        there.kube.write_kubeconfig(there.kubeconfig, certificate=certificate)
        run = there.run(home, options=("-q", "-c", "exit 7"))
        assert (run.returncode, run.stderr) == (7, "")
        assert there.kube.users_asking() == {OWNER}
        there.assert_clean()
    assert_nothing_left(home)


def test_mlogins_own_reflector_is_refused(here: Place, home: Path) -> None:
    before = len(here.kube.asked("create", "secrets"))
    arguments = here.arguments()
    at = arguments.index("--reflector")
    del arguments[at : arguments.index("--")]
    run = here.run_words(home, arguments)
    assert run.returncode == 255
    assert "a pod cannot reach a reflector of mlogin's own, on this machine; name one by --reflector" in run.stderr
    assert len(here.kube.asked("create", "secrets")) == before
