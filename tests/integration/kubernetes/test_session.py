"""`mlogin --launcher kubernetes`: sessions in pods."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

from medusa.client.archive import find_archive
from tests.kube.place import LOGIN, Place, documented_yaml, job_name
from tests.kube.stand_in import containers
from tests.terminals import processes_of
from tests.waiting import wait_until

pytestmark = containers


def test_a_command_and_its_status(here: Place, home: Path) -> None:
    run = here.run(home, "--env", "COLOUR=red", options=("-c", "echo $COLOUR in $HOSTNAME; exit 7"))
    name = job_name(run.stderr)
    assert run.returncode == 7, run.stderr
    assert run.stdout.startswith(f"red in {name}-")
    assert run.stderr.endswith("mlogin: session complete\n")
    assert "forbidden" not in run.stderr


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
        seen = json.dumps([pod, job]) + "".join(processes_of(home).values())
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
