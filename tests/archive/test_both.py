"""What the ordinary archive and the one with its own Python have in common: how they are built, and how they run."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from medusa import __version__
from tests.agents import ROOT, Reflector, job_environ, launched, write_config
from tests.archive.conftest import build
from tests.archive.test_run import NO_CONFIG, SHELLS, hold_session, run
from tests.waiting import MS, PATIENCE, wait_until


class Kind(NamedTuple):
    """`environ`: of a job that has only the Python that this archive uses. `start`: ms within which it starts."""

    archive: Path
    option: str
    end_of_text: bytes
    environ: dict[str, str]
    start: float
    interrupted: tuple[int, ...]


@pytest.fixture(params=["ordinary", "standalone"])
def kind(request: pytest.FixtureRequest, temporary: Path) -> Kind:
    if request.param == "ordinary":
        environ = job_environ(TMPDIR=str(temporary), MEDUSA_PYTHON=sys.executable)
        # Python itself may be interrupted before a line of ours runs, and then ends with 1.
        return Kind(request.getfixturevalue("archive"), "", b'PAYLOAD="""', environ, 250, (1,))
    environ = job_environ(TMPDIR=str(temporary), MEDUSA_PYTHON="/no/such/python")
    # PyInstaller's loader has statuses of its own for a KeyboardInterrupt before and after it has started Python.
    return Kind(request.getfixturevalue("standalone"), "--standalone", b"exit 126\nexit 126\n", environ, 500, (1, 255))


# ------------------------------------------------------------------ how they are built


def test_another_build_elsewhere_gives_the_same_bytes(kind: Kind, tmp_path: Path) -> None:
    """With another umask, time zone, locale, home and directory, and other times of the sources."""
    copy = tmp_path / "another place"
    for part in ("agent", "medusa", "scripts"):
        shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__", "data"))
    for path in copy.rglob("*"):
        os.utime(path, (1, 1))
        path.chmod(0o700)
    others = {"TZ": "Asia/Tokyo", "LANG": "tr_TR.UTF-8", "GZIP": "-1", "HOME": str(tmp_path), "PYTHONHASHSEED": "7"}
    script = f"umask 077; cd '{copy}/scripts' && sh ./mkshar.sh {kind.option} ../out.sh"
    before = set(tmp_path.iterdir())
    environ = {**os.environ, "PYTHON": sys.executable, **others}
    subprocess.run(["sh", "-c", script], env=environ, check=True, capture_output=True)
    assert (copy / "out.sh").read_bytes() == kind.archive.read_bytes()
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("options", "broken", "reason"),
    [
        ([], {"PYTHON": "/no/such/python"}, "no /no/such/python"),
        ([], {"PYTHON": "/usr/bin/false"}, ""),
        ([], {"PATH": f"tools:{os.environ['PATH']}"}, ""),
        (["--standalone"], {"PYTHON": "/no/such/python"}, "no /no/such/python"),
        (["--standalone"], {"PYTHON": "/usr/bin/false"}, ""),
    ],
)
def test_a_build_that_fails_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], broken: dict[str, str], reason: str
) -> None:
    """At its last step, the disk is full, say."""
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools/chmod").symlink_to("/usr/bin/false")
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(subprocess.CalledProcessError) as caught:
        build(tmp_path / "out/agent.sh", *options, TMPDIR=str(tmp_path / "out"), **broken)
    assert reason in caught.value.stderr.decode()
    assert list((tmp_path / "out").iterdir()) == []


# ------------------------------------------------------------------ how they run


@pytest.mark.parametrize("name", SHELLS)
def test_every_shell_runs_it(name: str, kind: Kind, temporary: Path) -> None:
    """The error texts quote the arguments unchanged."""
    command: list[str | Path] = [*name.split(), kind.archive]
    assert run([*command, "--version"], kind.environ).stdout == f"medusa agent {__version__}\n"
    done = run(command, kind.environ)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(NO_CONFIG)
    done = run([*command, "http://x/", "--grace", " a  $b\n", "$(touch x)"], kind.environ, cwd=temporary)
    assert done.returncode == 2
    assert r"' a  $b\n' is not a number" in done.stderr
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    "script",
    ["cat '{}' | {} -s -- http://x/ --grace 'a b'", "{1} '{0}' --grace 'a b' <&- >&-"],
    ids=["pipe", "closed-descriptors"],
)
@pytest.mark.parametrize("name", SHELLS)
def test_every_shell_runs_it_from_a_script(name: str, kind: Kind, temporary: Path, script: str) -> None:
    done = run(["sh", "-c", script.format(kind.archive, name)], kind.environ)
    assert done.returncode == 2
    assert "'a b' is not a number" in done.stderr
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("name", SHELLS)
def test_every_shell_runs_a_session(name: str, kind: Kind, tmp_path: Path, reflector: Reflector) -> None:
    """With a launcher's lines before the archive."""
    script = tmp_path / "batch script"
    script.write_bytes(b"#!/bin/sh\nMEDUSA_GREETING='a b'; export MEDUSA_GREETING\n" + kind.archive.read_bytes())
    start = f"umask 027; exec {name} '{script}' --grace 1 '{reflector.url}'"
    hold_session(reflector, ["sh", "-c", start], kind.environ)


def test_it_reads_stdin(kind: Kind) -> None:
    done = run(["sh", kind.archive, "--config", "/dev/stdin"], kind.environ, input='{"signed_url": 1}')
    assert "/dev/stdin: signed_url: not a string" in done.stderr


def test_a_signal_at_any_time_leaves_nothing(kind: Kind, tmp_path: Path, temporary: Path) -> None:
    config = write_config(tmp_path, "http://127.0.0.1:1/")
    command: list[str | Path] = ["dash", kind.archive, "--config", config]
    chance = random.Random(1)
    for number in 4 * [signal.SIGTERM, signal.SIGHUP, signal.SIGINT]:
        with launched(command, kind.environ, start_new_session=True) as agent:
            with contextlib.suppress(subprocess.TimeoutExpired):
                agent.process.wait(chance.uniform(0, kind.start) * MS)
            os.killpg(agent.pid, number)
            status, _ = agent.finish()
        assert status in (-number, 128 + number, *(kind.interrupted if number == signal.SIGINT else ()))
        wait_until(lambda: list(temporary.iterdir()) == [])


# ------------------------------------------------------------------ damage

LAUNCHER = b"#!/bin/sh\n#SBATCH --time=10\nMEDUSA_GREETING='a b'; export MEDUSA_GREETING\n"
"""What a launcher writes before the archive."""


def test_an_archive_with_a_broken_byte_runs_nothing(kind: Kind, tmp_path: Path, temporary: Path) -> None:
    """In the text of the program more often than in the payload."""
    # Such an archive may leave files or processes anywhere, or may not end.
    apart = ["bwrap", "--dev-bind", "/", "/", "--unshare-pid", "--die-with-parent"]
    apart += ["--proc", "/proc", "--tmpfs", "/tmp", "--tmpfs", "/var/tmp", "--tmpfs", "/dev/shm"]
    apart += ["--ro-bind", sys.prefix, sys.prefix, "--bind", str(tmp_path), str(tmp_path)]
    path, leftovers, environ = tmp_path / "agent.sh", set[Path](), {**kind.environ, "HOME": str(temporary)}

    def starts(data: bytes, timeout: float = 1500 * MS) -> bool:
        path.write_bytes(next(before) + data)
        limit = ["timeout", "-s", "KILL", str(timeout)]
        done = run([*limit, *apart, "dash", path, "--config", "/no/such/file"], environ, cwd=tmp_path, errors="replace")
        assert done.returncode != 0
        return "/no/such/file" in done.stderr

    data, chance, before = kind.archive.read_bytes(), random.Random(1), itertools.cycle([b"", LAUNCHER])
    assert starts(data, PATIENCE)
    text = data.index(kind.end_of_text)
    places = [chance.randrange(text) for _ in range(16)] + [chance.randrange(text, len(data)) for _ in range(4)]
    for at in [*places, *range(text - 30, text, 3), *range(len(data) - 34, len(data), 3)]:
        byte = bytes([data[at] ^ 1 << chance.randrange(7)])
        assert not starts(data[:at] + byte + data[at + 1 :]), at
        # Only a whole program has to clean up after itself.
        if not kind.option or at >= text:
            wait_until(lambda: set(temporary.iterdir()) <= leftovers)
        leftovers.update(temporary.iterdir())


@pytest.mark.parametrize("left", [1000, 40_000, 60_000, -1_000_000, *range(-25, -1, 4), -2])
def test_an_archive_that_was_cut_off_runs_nothing(kind: Kind, tmp_path: Path, temporary: Path, left: int) -> None:
    path = tmp_path / "agent.sh"
    path.write_bytes(kind.archive.read_bytes()[:left])
    for command in ("dash '{}' --config /no/such/file", "dash -s -- --config /no/such/file <'{}'"):
        done = run(["sh", "-c", command.format(path)], kind.environ)
        assert "/no/such/file" not in done.stderr
        assert done.returncode != 0 or not kind.option or left == 1000
    assert list(temporary.iterdir()) == []
