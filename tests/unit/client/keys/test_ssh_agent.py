from __future__ import annotations

import base64
import contextlib
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from medusa.client.keys import ssh_agent as ssh_agent_module
from medusa.client.keys.ssh_agent import problem, signers
from medusa.client.outcome import Failure
from medusa.keys import PublicKey
from tests.signing import Key, Keys, write_key
from tests.sshagents import SshAgent, needs_ssh_agent, scripted_agent, ssh_agent, string

TEXT = b"date: Sun, 06 Nov 1994 08:49:37 GMT"
IDENTITIES, SIGN = 11, 13


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch) -> Iterator[SshAgent]:
    with ssh_agent() as agent:
        monkeypatch.setenv("SSH_AUTH_SOCK", agent.environ["SSH_AUTH_SOCK"])
        yield agent


@needs_ssh_agent
@pytest.mark.parametrize("kind", ["rsa", "ecdsa256", "ecdsa384", "ecdsa521", "ed25519"])
def test_the_agent_signs_with_every_kind(agent: SshAgent, keys: Keys, kind: str) -> None:
    key = keys[kind]
    agent.add(key)
    ((signer,), useless) = signers()
    assert useless == []
    assert (signer.public.md5, signer.public.algorithm) == (key.md5, key.algorithm)
    for text in (TEXT, b"", b"x" * 100_000):
        assert PublicKey.from_ssh(key.line).verify(key.algorithm, signer.sign(text), text)


@needs_ssh_agent
def test_a_key_that_went_away(agent: SshAgent, key: Key) -> None:
    agent.add(key)
    ((signer,), _) = signers()
    agent.forget_all()
    with pytest.raises(Failure, match=f"does not hold the key {key.md5} any more; ssh-add it again"):
        signer.sign(TEXT)


@pytest.mark.parametrize("path", ["", "/nowhere/socket"])
def test_no_agent_holds_no_keys(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", path)
    assert signers() == ([], [])


def identities(*blobs: bytes, comment: bytes = b"comment") -> bytes:
    return b"\x0c" + len(blobs).to_bytes(4, "big") + b"".join(string(blob) + string(comment) for blob in blobs)


@contextlib.contextmanager
def agent_that_answers(monkeypatch: pytest.MonkeyPatch, answers: dict[int, bytes]) -> Iterator[None]:
    with scripted_agent(answers) as path:
        monkeypatch.setenv("SSH_AUTH_SOCK", path)
        yield


@pytest.mark.parametrize(
    ("answer", "useless"),
    [
        (b"\x05", []),
        (b"", []),
        (
            identities(string(b"sk-ssh-ed25519@openssh.com") + string(bytes(32)) + string(b"ssh:")),
            ["sk-ssh-ed25519@openssh.com comment (not a kind of key that HTTP signatures know)"],
        ),
    ],
    ids=["failure", "empty", "security key"],
)
def test_an_agent_without_keys_that_can_be_used(
    monkeypatch: pytest.MonkeyPatch, answer: bytes, useless: list[str]
) -> None:
    with agent_that_answers(monkeypatch, {IDENTITIES: answer}):
        assert signers() == ([], useless)


@pytest.mark.parametrize(
    ("kind", "answers", "why"),
    [
        ("rsa", {SIGN: b"\x0e" + string(string(b"ssh-rsa") + string(bytes(256)))}, "signs with RSA keys by SHA-1 only"),
        ("ed25519", {SIGN: b"\x05"}, "ssh-agent did not sign with {}"),
        ("ed25519", {}, "ssh-agent did not sign with {}"),
    ],
    ids=["SHA-1", "refused", "hung up"],
)
def test_an_agent_that_does_not_sign(
    monkeypatch: pytest.MonkeyPatch, keys: Keys, kind: str, answers: dict[int, bytes], why: str
) -> None:
    blob = base64.b64decode(keys[kind].line.split()[1])
    with agent_that_answers(monkeypatch, {IDENTITIES: identities(blob), **answers}):
        ((signer,), _) = signers()
        with pytest.raises(Failure, match=why.format(keys[kind].md5)):
            signer.sign(TEXT)


@needs_ssh_agent
def test_a_comment_in_another_encoding_hides_no_key(agent: SshAgent, keys: Keys, tmp_path: Path) -> None:
    path = write_key(tmp_path / "key", keys["rsa"])
    environ = {**os.environ, **agent.environ}
    subprocess.run(["ssh-keygen", "-q", "-c", "-C", b"M\xfcller", "-f", path], check=True)
    subprocess.run(["ssh-add", "-q", path], env=environ, check=True)
    agent.add(keys["ed25519"])
    assert {signer.public.md5 for signer in signers()[0]} == {keys["rsa"].md5, keys["ed25519"].md5}


def _blob(key: Key) -> bytes:
    return base64.b64decode(key.line.split()[1])


@pytest.mark.parametrize(
    "comment", [b"", b"M\xfcller", b"\x1b[2J", b"x" * 100_000], ids=["none", "latin", "escape", "long"]
)
@pytest.mark.parametrize(
    "blob",
    [
        b"",
        b"\0\0",
        string(b""),
        (1 << 31).to_bytes(4, "big") + b"ssh-rsa",
        string(b"ssh-ed25519") + string(b"short"),
        string(b"ecdsa-sha2-nistp256") + string(b"nistp256") + string(b"\2" + bytes(32)),
        string(b"ssh-dss") + string(b"\1"),
        string(b"sk-ssh-ed25519@openssh.com") + string(bytes(32)) + string(b"ssh:"),
        string(b"ssh-ed25519-cert-v01@openssh.com") + string(bytes(32)),
        string(b"ssh-mldsa87@future.example") + bytes(5000),
        string(b"\xff\x1b rsa") + bytes(5),
        _blob(Key("rsa1024")),
    ],
    ids=[
        "empty",
        "stub",
        "nameless",
        "endless",
        "malformed",
        "compressed",
        "dsa",
        "security key",
        "certificate",
        "future",
        "not text",
        "short",
    ],
)
def test_a_key_that_cannot_be_used_hides_no_other(
    monkeypatch: pytest.MonkeyPatch, keys: Keys, blob: bytes, comment: bytes
) -> None:
    good = _blob(keys["ed25519"])
    with agent_that_answers(monkeypatch, {IDENTITIES: identities(blob, good, comment=comment)}):
        ((signer,), (useless,)) = signers()
    assert signer.public.md5 == keys["ed25519"].md5
    assert useless.isprintable()
    assert len(useless) < 300


def test_of_an_answer_that_is_cut_off_the_whole_keys_count(monkeypatch: pytest.MonkeyPatch, keys: Keys) -> None:
    answer = identities(_blob(keys["ed25519"]), _blob(keys["rsa"]))
    for cut in (1, 8, 100):
        with agent_that_answers(monkeypatch, {IDENTITIES: answer[:-cut]}):
            ((signer,), _) = signers()
        assert signer.public.md5 == keys["ed25519"].md5


def test_so_they_do_if_the_agent_hangs_up_meanwhile(monkeypatch: pytest.MonkeyPatch, keys: Keys) -> None:
    answer = identities(_blob(keys["ed25519"]), _blob(keys["rsa"]))
    near, far = socket.socketpair()
    with near, far:
        far.sendall(string(answer)[:-100])
        far.shutdown(socket.SHUT_WR)
        monkeypatch.setattr(ssh_agent_module, "_connection", lambda path: contextlib.nullcontext(near))
        ((signer,), _) = signers()
    assert signer.public.md5 == keys["ed25519"].md5


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ({IDENTITIES: b"\x05"}, "it refuses; if it is locked, ssh-add -X unlocks it"),
        ({IDENTITIES: b""}, "its answer has 0 bytes"),
        ({}, "it hung up"),
    ],
)
def test_an_agent_that_does_not_list_its_keys_is_told(
    monkeypatch: pytest.MonkeyPatch, answers: dict[int, bytes], why: str
) -> None:
    with agent_that_answers(monkeypatch, answers):
        assert why in str(problem())


class Silent:
    """A connection to an ssh-agent that never answers."""

    timeout: float | None = None

    def settimeout(self, timeout: float | None) -> None:
        self.timeout = timeout

    def sendall(self, data: bytes) -> None:
        pass

    def recv(self, size: int) -> bytes:
        assert self.timeout is not None, "this would last for ever"
        raise TimeoutError("timed out")


def test_an_agent_that_never_answers_has_no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh_agent_module, "_connection", lambda path: contextlib.nullcontext(Silent()))
    monkeypatch.setenv("SSH_AUTH_SOCK", "/agent")
    assert signers() == ([], [])
    assert "timed out" in str(problem())


def test_an_agent_that_is_not_there_is_told_only_if_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", "/nowhere/socket")
    assert "No such file" in str(problem())
    monkeypatch.delenv("SSH_AUTH_SOCK")
    assert problem() is None
