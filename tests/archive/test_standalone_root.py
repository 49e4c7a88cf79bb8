"""The archive with its own Python on a machine with nothing but busybox and glibc, and on one where it cannot run."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from medusa.protocol.control import Exit, Start
from tests.agents import Reflector, job_environ, launched, write_config
from tests.archive.minimal import inside, make_root
from tests.archive.test_run import NO_CONFIG, run
from tests.links import CERTIFICATE, server_context
from tests.terminals import MLOGIN, environment
from tests.waiting import PATIENCE

pytestmark = pytest.mark.skipif(
    not (shutil.which("bwrap") and shutil.which("busybox")), reason="needs bwrap (bubblewrap) and busybox"
)

AUTHORITIES = "/etc/pki/tls/certs/ca-bundle.crt"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, standalone: Path) -> Path:
    root = make_root(tmp_path_factory.mktemp("minimal") / "root")
    for path in (root / AUTHORITIES.lstrip("/"), root / "agent.sh", root / "config.json"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    shutil.copy(standalone, root / "agent.sh")
    return root


@pytest.fixture
def secure() -> Iterator[Reflector]:
    reflector = Reflector(server_context())
    yield reflector
    reflector.close()


def in_root(root: Path, script: str, *options: str) -> subprocess.CompletedProcess[str]:
    return run([*inside(root, *options), "/bin/sh", "-c", script], dict(os.environ))


def test_there_is_no_python(root: Path) -> None:
    assert in_root(root, "find / -xdev -name '*python*' | grep .").stdout == ""


def test_a_session(root: Path, home: Path, tmp_path: Path) -> None:
    """mlogin and its reflector run outside, the local job inside."""
    job = tmp_path / "job.sh"
    job.write_text(_job(root))
    arguments = ["-qt", "--archive", str(job), "-c", "tty; ls /; cat /proc/mounts | grep -c python; exit 7"]
    done = subprocess.run([*MLOGIN, *arguments], env=environment(home), capture_output=True, timeout=6 * PATIENCE)
    assert done.returncode == 7, done.stderr
    assert done.stdout.split()[:2] == [b"/dev/pts/0", b"agent.sh"]


def _job(root: Path) -> str:
    """The script of a local job, whose standard input is the configuration."""
    options = "/bin/sh /agent.sh --config /dev/stdin"
    return f"#!/bin/sh\nexec {shlex.join(inside(root))} {options}\n"


@pytest.mark.parametrize("named", [False, True])
def test_tls(root: Path, secure: Reflector, tmp_path: Path, named: bool) -> None:
    """With the certificates of a distribution, or with those that a variable names."""
    place = "/tmp/mine.pem" if named else AUTHORITIES
    config = write_config(tmp_path, secure.url)
    options = ["--ro-bind", str(CERTIFICATE), place, "--ro-bind", str(config), "/config.json"]
    more = ["--setenv", "SSL_CERT_FILE", place] if named else []
    command = [*inside(root, *options, *more), "/bin/sh", "/agent.sh", "--config", "/config.json"]
    with launched(command, dict(os.environ)) as agent:
        client = secure.accept()
        client.start(Start(command="/bin/sh", arguments=("-c", "echo here; exit 3")))
        assert client.outcome() == Exit(status=3)
        assert client.output == b"here\r\n"
        client.link.close()
        assert agent.finish()[0] == 0


def test_tls_without_any_certificates(root: Path, secure: Reflector, tmp_path: Path) -> None:
    options = ["--ro-bind", str(write_config(tmp_path, secure.url)), "/config.json"]
    hidden = ["--tmpfs", str(Path(AUTHORITIES).parent)]
    command = [*inside(root, *options, *hidden), "/bin/sh", "/agent.sh", "--config", "/config.json"]
    with launched(command, dict(os.environ)) as agent:
        with pytest.raises(OSError, match=r"(?i)certificate|unknown ca|closed|EOF"):
            secure.accept()
        status, log = agent.finish()
    assert status == 3
    assert log.count("medusa agent: no CA certificates on this machine: SSL_CERT_FILE may name a file of them\n") == 1
    assert "certificate not accepted" in log


# ------------------------------------------------------------------ where it unpacks

NOEXEC = "mount -t tmpfs -o noexec none /tmp && "
MOUNTS = ("--cap-add", "CAP_SYS_ADMIN")


def test_a_later_place_is_taken(root: Path) -> None:
    """/dev/shm, from which programs may run."""
    done = in_root(root, NOEXEC + "sh /agent.sh; s=$?; ls -A /tmp /dev/shm; exit $s", *MOUNTS)
    assert (done.returncode, done.stdout.split()) == (2, ["/dev/shm:", "/tmp:"])
    assert done.stderr.startswith(NO_CONFIG)


def test_no_place_at_all(root: Path) -> None:
    noexec_too = "mount -t tmpfs -o noexec none /dev/shm && cd / && "
    done = in_root(root, NOEXEC + noexec_too + "HOME=/nowhere exec sh /agent.sh", *MOUNTS)
    assert done.returncode == 125
    reasons = [f"{place}: no program may run there" for place in ("/tmp", "/dev/shm")]
    for reason in (*reasons, "/var/tmp: No such file or directory", "/nowhere: No such", ".: Read-only file system"):
        assert reason in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("size", [8192, 1 << 20, 10 << 20, 20 << 20])
def test_no_room(root: Path, size: int) -> None:
    small = ["--size", str(size), "--tmpfs", "/tmp", "--size", str(size), "--tmpfs", "/dev/shm"]
    for start in ("sh /agent.sh", "cat /agent.sh | sh -s"):
        done = in_root(root, f"cd / && {start}; s=$?; ls -A /tmp; exit $s", *small)
        assert (done.returncode, done.stdout) == (125, ""), start
        assert re.match("medusa agent: cannot unpack: /tmp: no room", done.stderr)
        assert done.stderr.count("\n") == 1


# ------------------------------------------------------------------ another machine


@pytest.mark.parametrize(
    ("part", "other", "reason"),
    [
        (r"'(x86_64|aarch64)'\)", "'vax') ", "; this machine is "),
        (r"medusa_wanted='(2\.\d+)'", "medusa_wanted='2.99'", "or later; this is 2."),
        (r"\[ -e '(/lib\S+)' \]", "[ -e '/no/such/loader' ]", "there is no /lib"),
    ],
)
def test_another_machine(standalone: Path, tmp_path: Path, part: str, other: str, reason: str) -> None:
    text, mark, payload = standalone.read_bytes().partition(b"exit 126\nexit 126\n")
    found = re.search(part, text.decode())
    assert found is not None
    path = tmp_path / "agent.sh"
    path.write_bytes(text.decode().replace(found[0], other).encode() + mark + payload)
    done = run(["sh", path], job_environ(TMPDIR=str(tmp_path)))
    assert done.returncode == 127
    assert done.stderr.startswith("medusa agent: its Python ")
    assert reason in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == [path]
