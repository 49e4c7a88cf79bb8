from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest

from medusa.client.keys.ssh_agent import signers
from medusa.client.outcome import Failure
from medusa.keys import PublicKey
from tests.signing import Key
from tests.sshagents import SshAgent, needs_ssh_agent, scripted_agent, ssh_agent, string

TEXT = b"date: Sun, 06 Nov 1994 08:49:37 GMT"
IDENTITIES, SIGN = 11, 13
SK = "sk-ssh-ed25519@openssh.com"


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch) -> Iterator[SshAgent]:
    with ssh_agent() as agent:
        monkeypatch.setenv("SSH_AUTH_SOCK", agent.environ["SSH_AUTH_SOCK"])
        yield agent


@needs_ssh_agent
@pytest.mark.parametrize("kind", ["rsa", "ecdsa256", "ecdsa384", "ecdsa521", "ed25519"])
def test_the_agent_signs_with_every_kind(agent: SshAgent, kind: str) -> None:
    key = Key(kind)
    agent.add(key)
    ((signer,), useless) = signers()
    assert useless == []
    assert (signer.public.md5, signer.public.algorithm) == (key.md5, key.algorithm)
    for text in (TEXT, b"", b"x" * 100_000):
        assert PublicKey.from_ssh(key.line).verify(key.algorithm, signer.sign(text), text)


@needs_ssh_agent
def test_a_key_that_went_away(agent: SshAgent) -> None:
    key = Key("ed25519")
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


def test_a_kind_of_key_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    blob = string(SK.encode()) + string(bytes(32)) + string(b"ssh:")
    with scripted_agent({IDENTITIES: identities(blob)}) as path:
        monkeypatch.setenv("SSH_AUTH_SOCK", path)
        assert signers() == ([], [f"{SK} comment (not a kind of key that HTTP signatures know)"])


def test_an_agent_that_knows_sha1_only_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    blob = base64.b64decode(Key("rsa").line.split()[1])
    answer = b"\x0e" + string(string(b"ssh-rsa") + string(bytes(256)))
    with scripted_agent({IDENTITIES: identities(blob), SIGN: answer}) as path:
        monkeypatch.setenv("SSH_AUTH_SOCK", path)
        ((signer,), _) = signers()
        with pytest.raises(Failure, match="signs with RSA keys by SHA-1 only"):
            signer.sign(TEXT)


@pytest.mark.parametrize("answers", [{SIGN: b"\x05"}, {}], ids=["refused", "hung up"])
def test_an_agent_that_does_not_sign(monkeypatch: pytest.MonkeyPatch, answers: dict[int, bytes]) -> None:
    key = Key("ed25519")
    blob = base64.b64decode(key.line.split()[1])
    with scripted_agent({IDENTITIES: identities(blob), **answers}) as path:
        monkeypatch.setenv("SSH_AUTH_SOCK", path)
        ((signer,), _) = signers()
        with pytest.raises(Failure, match=f"ssh-agent did not sign with {key.md5}"):
            signer.sign(TEXT)


@pytest.mark.parametrize("answer", [b"\x05", b""], ids=["failure", "empty"])
def test_an_agent_that_talks_rubbish_holds_no_keys(monkeypatch: pytest.MonkeyPatch, answer: bytes) -> None:
    with scripted_agent({IDENTITIES: answer}) as path:
        monkeypatch.setenv("SSH_AUTH_SOCK", path)
        assert signers() == ([], [])
