from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from medusa.client.launchers.kubernetes.ephemeral import DELIVERED, agent_script
from medusa.client.launchers.kubernetes.status import ephemeral_status

Object = dict[str, Any]
NAME = "medusa-1"


@pytest.mark.parametrize("tail", [b"", b"\n", b"\0\xff", b"# " + b"x" * 200_000 + b"\n"], ids=range(4))
@pytest.mark.parametrize("shell", [["sh"], ["bash"]], ids=["sh", "bash"])
def test_the_script_unpacks_the_whole_agent(tmp_path: Path, tail: bytes, shell: list[str]) -> None:
    """The shell reads the script from its standard input."""
    archive = b'cat "$2"; exit 7 #' + tail
    environ = {"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path), "MEDUSA_WATCH": "none"}
    data = agent_script({"signed_url": "it's $one"}, archive, NAME)
    done = subprocess.run([*shell, "-s"], input=data, env=environ, capture_output=True)
    assert done.returncode == 7
    assert done.stdout.decode() == f'{DELIVERED}\n{{"signed_url": "it\'s $one"}}\n'
    directory = tmp_path / NAME
    assert (directory / "agent.sh").read_bytes() == archive + (b"" if b"\0" in tail or tail.endswith(b"\n") else b"\n")
    assert {path.stat().st_mode & 0o77 for path in (directory, *directory.iterdir())} == {0}


def pod(phase: str = "Running", **state: Any) -> Object:
    statuses = [{"name": "another", "state": {}}, {"name": NAME, "state": state}] if state else []
    return {"metadata": {}, "status": {"phase": phase, "ephemeralContainerStatuses": statuses}}


@pytest.mark.parametrize(
    ("found", "alive", "words"),
    [
        (pod(), True, "waits for its node"),
        (pod(waiting={"reason": "ImagePullBackOff", "message": "no"}), True, "ImagePullBackOff: no"),
        (pod(waiting={"reason": "InvalidImageName", "message": "no"}), False, "InvalidImageName: no"),
        (pod(running={"startedAt": "t"}), True, "running"),
        (pod(terminated={"exitCode": 127}), False, "ended with status 127"),
        (pod("Failed"), False, "ended with its pod: Failed"),
        ({**pod(running={}), "metadata": {"deletionTimestamp": "t"}}, False, "ends with its pod"),
    ],
)
def test_the_status_of_an_ephemeral_container(found: Object, alive: bool, words: str) -> None:
    reading = ephemeral_status(found, NAME)
    assert (reading.alive, reading.words) == (alive, words)
