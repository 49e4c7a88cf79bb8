from __future__ import annotations

import base64
import contextlib
from collections.abc import Iterator

import pytest

from medusa.client.keys.ssh_agent import signers
from medusa.client.outcome import Failure
from medusa.keys import PublicKey
from tests.signing import Key, Keys
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


def identities(*blobs: bytes) -> bytes:
    return b"\x0c" + len(blobs).to_bytes(4, "big") + b"".join(string(blob) + string(b"comment") for blob in blobs)


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
