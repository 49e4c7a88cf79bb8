"""mlogin at a reflector's front door: who it says it is, by which key, and what is told when it is not believed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from tests.reflectors import Reflector, running
from tests.signing import Keys, allow, write_key
from tests.sshagents import needs_ssh_agent, ssh_agent
from tests.terminals import MLOGIN, ROOT, environment, find, processes_of, run_alone, terminal
from tests.waiting import PATIENCE

PASSPHRASE = "open sesame"


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory, keys: Keys) -> Path:
    """A home directory with keys."""
    user = tmp_path_factory.mktemp("user")
    (user / ".ssh").mkdir()
    for name in ("rsa", "ed25519", "stranger"):
        write_key(user / ".ssh" / name, keys[name])
    locked = serialization.load_ssh_private_key(keys["ed25519"].pem(), None).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.BestAvailableEncryption(PASSPHRASE.encode()),
    )
    (user / "locked").write_bytes(locked)
    return user


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory, keys: Keys) -> Iterator[Reflector]:
    accounts = tmp_path_factory.mktemp("accounts")
    allow(accounts, "jill", keys["rsa"], keys["ed25519"], keys["ecdsa256"])
    lines = (accounts / "jill").read_bytes()
    (accounts / "jill").write_bytes(b"\xef\xbb\xbfssh-rsa M\xfcller\r\n" + lines.replace(b"\n", b"\r\n"))
    with running("--accounts", str(accounts)) as reflector:
        yield reflector


@pytest.fixture
def environ(home: Path, user: Path) -> dict[str, str]:
    environ = {**environment(home), "HOME": str(user)}
    environ.pop("SSH_AUTH_SOCK", None)
    return environ


def url(door: Reflector) -> str:
    return f"http://127.0.0.1:{door.port}"


def mlogin(environ: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_alone([*MLOGIN, *arguments], environ)


def test_a_key_by_its_fingerprint_and_nothing_of_it_is_seen(
    door: Reflector, keys: Keys, environ: dict[str, str], home: Path
) -> None:
    environ |= {"MANTA_USER": "jill", "MANTA_KEY_ID": keys["rsa"].md5}
    before = len(door.logged("attached"))
    with terminal([*MLOGIN, "--reflector", url(door), "-c", "cat"], environ) as opened:
        find(home, "^cat")
        assert not [line for line in processes_of(home).values() if "signature" in line or "keyId" in line]
        opened.type("~i")
        opened.until("as         account jill, key " + keys["rsa"].md5)
        opened.type("\r\x04")
        assert opened.status() == 0
    entries = door.logged("attached", login="jill", key=keys["rsa"].md5)[before:]
    assert [entry["side"] for entry in entries] == ["client", "agent"]
    assert "signature" not in door.raw_log


@needs_ssh_agent
def test_a_key_of_the_ssh_agent(door: Reflector, keys: Keys, environ: dict[str, str]) -> None:
    with ssh_agent() as agent:
        agent.add(keys["ecdsa256"])
        arguments = [
            "--reflector",
            url(door),
            "-a",
            "jill",
            "-k",
            keys["ecdsa256"].sha256,
            "-c",
            "echo $SSH_AUTH_SOCK.",
        ]
        run = mlogin({**environ, **agent.environ}, *arguments)
    assert (run.returncode, run.stdout) == (0, ".\n"), run.stderr


def test_a_key_behind_bag_attributes(door: Reflector, keys: Keys, environ: dict[str, str], tmp_path: Path) -> None:
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    private = serialization.load_ssh_private_key(keys["rsa"].pem(), None).private_bytes(*form)
    (tmp_path / "key").write_bytes(b"\xef\xbb\xbfBag Attributes\n    localKeyID: 01 23\n\n" + private)
    run = mlogin(environ, "--reflector", url(door), "-a", "jill", "-k", str(tmp_path / "key"), "-c", "echo here")
    assert (run.returncode, run.stdout) == (0, "here\n"), run.stderr


def test_control_c_instead_of_the_passphrase(door: Reflector, environ: dict[str, str], user: Path) -> None:
    arguments = ["--reflector", url(door), "-a", "jill", "-k", str(user / "locked")]
    with terminal([*MLOGIN, *arguments], environ) as opened:
        opened.until("Passphrase for ")
        opened.type(b"\x03")
        opened.until("mlogin: ended by SIGINT")
        assert opened.status() == 130
        assert opened.modes() == opened.modes_at_start


def test_a_job_that_the_user_starts_by_a_signed_line(door: Reflector, environ: dict[str, str], home: Path) -> None:
    arguments = [*MLOGIN, "--reflector", url(door), "-a", "jill", "-k", "~/.ssh/ed25519", "--launcher", "manual"]
    with subprocess.Popen(
        [*arguments, "-c", "exit 7"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environ,
        cwd=ROOT,
    ) as process:
        assert process.stderr is not None
        line = next(line for line in process.stderr if line.startswith(b'echo "curl '))
        assert b"/jill/medusa/attach/" in line
        subprocess.run(["sh", "-c", line], env=environ, cwd=home, check=True, capture_output=True, timeout=PATIENCE)
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 7


def test_who_is_not_believed_learns_what_to_check(door: Reflector, keys: Keys, environ: dict[str, str]) -> None:
    run = mlogin(environ, "-q", "--reflector", url(door), "-a", "jill", "-k", keys["stranger"].md5)
    assert run.returncode == 255
    first, who, check = run.stderr.splitlines()
    assert first.startswith(f"mlogin: cannot attach to {url(door)} (HTTP status 404): there is no such session, or")
    assert f"asked for host 127.0.0.1:{door.port} by account jill, key {keys['stranger'].md5} (ed25519, " in who
    assert "the clock" in check
