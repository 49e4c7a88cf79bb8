"""Without a key, or without an account: mlogin and medusa try what ssh would try, and say what they tried.

That the line which a hold prints works as it is, is tested in tests/archive/test_ci_recipes.py.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from tests.reflectors import Reflector, running
from tests.signing import Keys, allow, write_key
from tests.terminals import MLOGIN, environment, run_alone, terminal


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory, keys: Keys) -> Iterator[Reflector]:
    accounts = tmp_path_factory.mktemp("accounts")
    allow(accounts, "jill", keys["rsa"])
    with running("--accounts", str(accounts), "--admins", "jill", "--front-door-only", check=False) as reflector:
        yield reflector


@pytest.fixture
def environ(home: Path, tmp_path: Path, keys: Keys) -> dict[str, str]:
    """The user jill of this machine, with two keys, of which the reflector knows the second one."""
    user = tmp_path / "jill"
    (user / ".ssh").mkdir(parents=True)
    write_key(user / ".ssh/id_ed25519", keys["stranger"])
    write_key(user / ".ssh/id_rsa", keys["rsa"])
    environ = {**environment(home), "HOME": str(user), "LOGNAME": "jill"}
    environ.pop("SSH_AUTH_SOCK", None)
    return environ


def medusa(environ: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_alone([sys.executable, "-m", "medusa", *arguments], environ)


def test_no_account_and_no_key(door: Reflector, environ: dict[str, str], keys: Keys) -> None:
    run = run_alone([*MLOGIN, "-q", "--reflector", door.url, "-c", "echo here"], environ)
    assert (run.returncode, run.stdout, run.stderr) == (0, "here\n", "")
    assert {entry["key"] for entry in door.logged("attached", login="jill")} == {keys["rsa"].md5}
    listed = medusa(environ, "sessions", "list", "--reflector", door.url)
    assert (listed.returncode, listed.stderr) == (0, "")


def test_a_refusal_names_the_account_and_the_keys(door: Reflector, environ: dict[str, str], keys: Keys) -> None:
    run = run_alone([*MLOGIN, "--reflector", door.url], {**environ, "LOGNAME": "joe"})
    assert run.returncode == 255
    assert "by account joe" in run.stderr
    for name, file in (("stranger", "id_ed25519"), ("rsa", "id_rsa")):
        assert re.search(rf"{keys[name].md5} \(\w+, {environ['HOME']}/.ssh/{file}\)", run.stderr), run.stderr
    assert "without a signature: there is nothing at this path" in run.stderr
    run = run_alone([*MLOGIN, "--reflector", door.url, "-a", ""], environ)
    assert "keys tried" not in run.stderr


def test_a_passphrase_is_asked_for_if_nothing_else_works(door: Reflector, environ: dict[str, str], keys: Keys) -> None:
    form = serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH
    private = serialization.load_ssh_private_key(keys["rsa"].pem(), None)
    data = private.private_bytes(*form, serialization.BestAvailableEncryption(b"sesame"))
    Path(environ["HOME"], ".ssh/id_rsa").write_bytes(data)
    with terminal([*MLOGIN, "--reflector", door.url, "-a", "jill", "-c", "echo here"], environ) as opened:
        opened.until("Passphrase for .*id_rsa: ")
        opened.type("sesame\r")
        opened.until("here")
        assert opened.status() == 0
    run = run_alone([*MLOGIN, "--reflector", door.url, "-a", "jill"], environ)
    assert "not tried: " in run.stderr
    assert "id_rsa needs a passphrase, and there is no terminal to ask on" in run.stderr


def test_sign_url_takes_the_first_key_and_says_so(environ: dict[str, str], keys: Keys) -> None:
    environ |= {"MEDUSA_REFLECTOR": "https://r:1/x"}
    signed = medusa(environ, "sign-url", "4711")
    assert signed.returncode == 0, signed.stderr
    assert signed.stdout.startswith("https://r:1/x/jill/medusa/attach/4711/slave?")
    assert f"signed by account jill, key {keys['stranger'].md5}" in signed.stderr
    os.unlink(f"{environ['HOME']}/.ssh/id_rsa")
    assert medusa(environ, "sign-url", "4711").stderr == ""
