"""Every shell in bad situations, the archive as a file and from a pipe: a session, or a one-line reason."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from medusa.protocol.control import Exit
from tests.agents import SECRET, Reflector, job_environ, launched, write_config
from tests.waiting import PATIENCE

SHELLS = ["dash", "bash", "busybox ash", "ksh93", "mksh", "zsh", "zsh as sh"]
PYTHON = os.path.realpath(sys.executable)
HERE = "/mnt"
"""The archive and its configuration are mounted here, so that a mount on /tmp does not hide them."""

_COVER = "for d in /tmp /var/tmp /dev/shm; do mount -t tmpfs -o {} none $d || exit 99; done; "
READ_ONLY = "mount -o remount,bind,ro / || exit 99; " + _COVER.format("ro")
FULL = _COVER.format("size=4k") + "for d in /tmp /var/tmp /dev/shm; do head -c 9999 /dev/zero >$d/x 2>&-; done; "


class Situation(NamedTuple):
    """What happens before the shell starts, and the reason that the archive prints if it cannot run."""

    prepare: str = ""
    refusal: str = ""
    place: str = HERE


SITUATIONS = {
    "plain": Situation(),
    "noexec": Situation(_COVER.format("noexec")),
    "read-only": Situation(READ_ONLY),
    "full": Situation(FULL),
    "full-and-read-only": Situation(FULL + "mount -o remount,bind,ro / || exit 99; "),
    "no-home": Situation("unset HOME; "),
    "nothing-but-python": Situation(f"PATH={HERE}/old:'{HERE}/a new'; "),
    "old-python": Situation(
        f"PATH={HERE}/old; ", rf"found {HERE}/old/python3 \(3\.6\.9\), {HERE}/old/python3\.9 \(does not run\)$"
    ),
    "no-python": Situation("PATH=/nowhere; ", "no Python 3.8 or later .*; found none at all"),
    "umask": Situation("umask 0777; "),
    "space": Situation(place=HERE + "/a b"),
}
OF_EVERY_SHELL = ("plain", "read-only", "full", "old-python")
CASES = [
    pytest.param(shell, situation, form, id=f"{name}-{form}-{shell}")
    for at, (name, situation) in enumerate(SITUATIONS.items())
    for form in ("file", "pipe")
    for shell in (SHELLS if name in OF_EVERY_SHELL else [SHELLS[at % len(SHELLS)]])
]
"""Each shell where what a shell does by itself counts, such as writing a temporary file; else one."""


def _namespace() -> list[str]:
    return ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]


@pytest.fixture(scope="module")
def mounts() -> list[str]:
    """The words in front of a command that make it free to mount."""
    probe = [*_namespace(), "mount", "-t", "tmpfs", "none", HERE]
    if subprocess.run(probe, capture_output=True, timeout=PATIENCE, check=False).returncode:
        pytest.skip("needs a mount namespace (root, or user namespaces)")
    return _namespace()


@pytest.fixture(scope="module")
def reflector() -> Iterator[Reflector]:
    reflector = Reflector()
    yield reflector
    reflector.close()


@pytest.fixture(scope="module")
def place(archive: Path, reflector: Reflector, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory that is mounted at HERE: the archive, its configuration, and Pythons."""
    place = tmp_path_factory.mktemp("place")
    for directory in (place, place / "a b"):
        directory.mkdir(exist_ok=True)
        shutil.copy(archive, directory / "agent.sh")
        write_config(directory, reflector.url)
    for name in ("new", "a new", "old", "sh"):
        (place / name).mkdir()
    (place / "new" / "python3").symlink_to(PYTHON)
    (place / "a new" / "python3.8").symlink_to(PYTHON)
    for name, script in (("python3", "echo 3.6.9; exit 1"), ("python3.9", "exit 1")):
        (place / "old" / name).write_text(f"#!/bin/sh\n{script}\n")
        (place / "old" / name).chmod(0o755)
    (place / "sh" / "sh").symlink_to(shutil.which("zsh") or "/nowhere")
    return place


def shell(name: str) -> str:
    program, *words = name.split()
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"needs {program}")
    if words == ["as", "sh"]:
        return f"{HERE}/sh/sh"
    return " ".join([path, *words])


def script(name: str, form: str, situation: Situation) -> str:
    start = f"mount --bind '{{}}' {HERE} || exit 99; export PATH; cd {HERE}; {situation.prepare}"
    options = f"--config '{situation.place}/config.json'"
    archive = f"'{situation.place}/agent.sh'"
    if form == "file":
        return start + f"exec {shell(name)} {archive} {options}"
    return start + f"/bin/cat {archive} | {shell(name)} -s -- {options}"


@pytest.mark.parametrize(("name", "situation", "form"), CASES)
def test_a_session_or_a_one_line_reason(
    name: str, situation: Situation, form: str, place: Path, reflector: Reflector, mounts: list[str]
) -> None:
    command = [*mounts, "/bin/sh", "-c", script(name, form, situation).format(place)]
    path = f"{place}/new:{os.environ['PATH']}" if not situation.prepare.startswith("PATH") else os.environ["PATH"]
    with launched(command, job_environ(PATH=path.replace(str(place), HERE))) as agent:
        if not situation.refusal:
            client = reflector.accept()
            client.run("umask; echo $((6 * 7)); exit 5")
            assert client.outcome() == Exit(status=5)
            assert client.output == (b"0777" if "umask" in situation.prepare else b"0022") + b"\r\n42\r\n"
            client.link.close()
        out, log = agent.process.communicate(timeout=PATIENCE)
    lines = log.decode().splitlines()
    assert out == b""
    assert all(line.startswith("medusa agent: ") for line in lines), lines
    assert SECRET.encode() not in log
    if situation.refusal:
        assert (agent.process.returncode, len(lines)) == (127, 1), lines
        assert re.search(situation.refusal, lines[0])
    else:
        assert agent.process.returncode == 0, lines
