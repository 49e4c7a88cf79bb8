"""`medusa kill`, and the request by which a user ends a session of the own account."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.administrators import KILLED, farewell
from tests.own_sessions import environ, train
from tests.reflectors import ROOT, Reflector, new_id
from tests.signing import Key, Keys, allow, attach_path, authorization, date, signed_request, write_key
from tests.sites import Site
from tests.waiting import PATIENCE

HOST = "h"


@pytest.fixture(scope="module")
def accounts(tmp_path_factory: pytest.TempPathFactory, keys: Keys) -> Path:
    directory = tmp_path_factory.mktemp("accounts")
    allow(directory, "alice", keys["ed25519"])
    allow(directory, "bob", keys["ecdsa256"])
    allow(directory, "alice", keys["ecdsa384"], user="ci")
    return directory


@pytest.fixture(scope="module")
def doors(site: Site, accounts: Path) -> Iterator[tuple[Reflector, Reflector]]:
    """Two reflectors of a site. The first has two workers."""
    options = ["--accounts", str(accounts), "--front-door-only"]
    with (
        site.reflector(*options, "--workers", "2", check=False) as here,
        site.reflector(*options, check=False) as there,
    ):
        yield here, there


def delete(key: Key, owner: str, session: str, login: str = "alice", more: str = "") -> bytes:
    path, when = f"/{login}/medusa/sessions/{session}", date()
    signature = authorization(key, owner, path, HOST, when, method="delete")
    head = f"DELETE {path} HTTP/1.1\r\nHost: {HOST}\r\nDate: {when}\r\n{more}"
    return f"{head}Authorization: {signature}\r\n\r\n".encode()


def medusa(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command, env = [sys.executable, "-m", "medusa", *words], environ(home)
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=PATIENCE, check=False)


def test_only_its_own_account_ends_a_session(doors: tuple[Reflector, Reflector], keys: Keys) -> None:
    here, there = doors
    alice, session = keys["ed25519"], new_id()
    with here.enter(signed_request(alice, "alice", attach_path("alice", session, "master"), HOST)) as client:
        for request, status in (
            (delete(keys["ecdsa256"], "bob", session), 404),
            (delete(keys["stranger"], "alice", session), 404),
            (delete(keys["ecdsa256"], "bob", session, "bob"), 404),
            (delete(keys["ecdsa384"], "alice/ci", session), 404),  # it waits for its agent: a subuser does not see it
            (delete(alice, "alice", new_id()), 404),
            (delete(alice, "alice", session, more="Origin: http://x\r\n"), 403),
            (f"DELETE /alice/medusa/sessions/{session} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode(), 401),
            (f"GET /alice/medusa/sessions/{session} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode(), 405),
        ):
            assert here.ask(request).status == status, request
        mine = delete(alice, "alice", session)
        assert there.ask(mine).json() == {"killed": True}
        assert farewell(client) == KILLED
    # Signed by another key: in the same second, the first one would make the same signature again.
    with here.enter(signed_request(keys["ecdsa384"], "alice/ci", attach_path("alice", session, "master"), HOST)):
        assert [each.ask(mine).status for each in (here, there)] == [403, 403], "a signature ends one session"


def test_the_command_signs(doors: tuple[Reflector, Reflector], keys: Keys, tmp_path: Path) -> None:
    here, there = doors
    alice, session = keys["ed25519"], new_id()
    signing = ("--reflector", here.url, "-a", "alice", "-k", str(write_key(tmp_path / "key", alice)))
    with there.enter(signed_request(alice, "alice", attach_path("alice", session, "master"), HOST)) as client:
        assert medusa(tmp_path, "kill", session[:13], *signing).stdout == f"killed {session}\n"
        assert farewell(client) == KILLED
        assert there.logged("session killed", session=session)


def test_a_session_of_this_machine(home: Path) -> None:
    with train(home) as mlogin:
        assert medusa(home, "kill", "train").returncode == 0
        assert mlogin.wait(PATIENCE) == 254
    done = medusa(home, "kill", "train")
    assert (done.returncode, "`medusa ls` lists your sessions" in done.stderr) == (1, True)
