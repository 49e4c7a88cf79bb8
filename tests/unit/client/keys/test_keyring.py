from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from medusa.client.keys.account import Account
from medusa.client.keys.keyring import MAX_TRIES, Keyring, default_keys, find_signer
from medusa.client.keys.ssh_config import KeyOptions
from medusa.client.outcome import Failure
from medusa.protocol.attach_path import NO_ACCOUNTS
from tests.signing import Key, Keys, write_key
from tests.sshagents import scripted_agent, string

IDENTITIES = 11


@contextmanager
def agent_with(*keys: Key) -> Iterator[str]:
    """An ssh-agent that lists these keys, and refuses to sign."""
    blobs = [base64.b64decode(key.line.split()[1]) for key in keys]
    answer = b"\x0c" + len(blobs).to_bytes(4, "big") + b"".join(string(blob) + string(b"") for blob in blobs)
    with scripted_agent({IDENTITIES: answer, 13: b"\x05"}) as path:
        yield path


def locked(path: Path, key: Key) -> Path:
    form = serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH
    private = serialization.load_ssh_private_key(key.pem(), None)
    path.write_bytes(private.private_bytes(*form, serialization.BestAvailableEncryption(b"sesame")))
    return path


def tried(keyring: Keyring) -> list[str]:
    """The places of the keys, in the order in which they are tried, each with the fingerprint."""
    found = [f"{keyring.where} {keyring.public.md5}"]
    while keyring.advance():
        found.append(f"{keyring.where} {keyring.public.md5}")
    return found


def test_the_agents_keys_then_files_and_each_key_once(tmp_path: Path, keys: Keys) -> None:
    one, two, both = keys["ed25519"], keys["rsa"], keys["ecdsa256"]
    kept = {"one": one, "both": both, "again": one}
    files = (tmp_path / "missing", *(write_key(tmp_path / name, key) for name, key in kept.items()))
    with agent_with(two, both) as agent:
        found = tried(default_keys(KeyOptions(agent, files=files)))
    assert found == [f"ssh-agent {both.md5}", f"ssh-agent {two.md5}", f"{files[1]} {one.md5}"]


def test_only_the_identities_of_ssh_config(tmp_path: Path, keys: Keys) -> None:
    (tmp_path / "held.pub").write_bytes(keys["rsa"].line)
    options = {"files": (tmp_path / "held", tmp_path / "held.pub"), "identities_only": True}
    with agent_with(keys["ed25519"], keys["rsa"]) as agent:
        assert tried(default_keys(KeyOptions(agent, **options))) == [f"ssh-agent {keys['rsa'].md5}"]  # type: ignore[arg-type]


def test_a_passphrase_is_asked_for_last(tmp_path: Path, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    files = (locked(tmp_path / "locked", keys["ed25519"]), write_key(tmp_path / "open", keys["rsa"]))
    keyring = default_keys(KeyOptions(None, files=files))
    assert keyring.where == str(files[1])
    monkeypatch.setattr("medusa.client.keys.keyfile._ask", lambda prompt: b"sesame")
    assert keyring.advance()
    assert keyring.where == str(files[0])


def test_a_few_keys_at_most_and_files_are_not_crowded_out(tmp_path: Path, keys: Keys) -> None:
    many = [Key("ed25519") for _ in range(2 * MAX_TRIES)]
    file = write_key(tmp_path / "id", keys["rsa"])
    with agent_with(*many) as agent:
        keyring = default_keys(KeyOptions(agent, files=(file,)))
        found = tried(keyring)
    assert len(found) == MAX_TRIES
    assert found[-1].startswith(f"{file} ")
    assert "not tried: 7 more keys in the ssh-agent" in keyring.report()


def test_a_key_that_cannot_sign_is_left_out(tmp_path: Path, keys: Keys) -> None:
    file = write_key(tmp_path / "id", keys["rsa"])
    with agent_with(keys["ed25519"]) as agent:
        account = Account("jill", None, default_keys(KeyOptions(agent, files=(file,))))
        account.authorization("GET", "/", "h")
        assert keys["rsa"].md5 in str(account)
        report = "\n".join(account.to_check("h"))
        assert f"not tried: ssh-agent did not sign with {keys['ed25519'].md5}" in report
        with pytest.raises(Failure, match="did not sign"):
            Account("jill", None, default_keys(KeyOptions(agent))).authorization("GET", "/", "h")


def test_an_accepted_key_is_kept(tmp_path: Path, keys: Keys) -> None:
    files = (write_key(tmp_path / "one", keys["ed25519"]), write_key(tmp_path / "two", keys["rsa"]))
    account = Account("jill", None, default_keys(KeyOptions(None, files=files)))
    assert account.has_other_keys
    account.accepted()
    assert not account.another_key()
    assert account.key_id.fingerprint == keys["ed25519"].md5


def test_a_refusal_names_the_account_and_all_keys(tmp_path: Path, keys: Keys) -> None:
    files = (write_key(tmp_path / "one", keys["ed25519"]), write_key(tmp_path / "two", keys["rsa"]))
    account = Account("jill", None, default_keys(KeyOptions(None, files=files)))
    assert account.another_key()
    lines = account.to_check("h:1")
    assert lines[0].startswith("  asked for host h:1 by account jill; the clock here says ")
    for file, key in zip(files, (keys["ed25519"], keys["rsa"]), strict=True):
        assert any(key.md5 in line and str(file) in line for line in lines)
        assert f"      {key.sha256}" in lines
    assert account.to_check("h:1", f"{NO_ACCOUNTS}: attach") == [
        "  asked by account jill; -a '' asks without an account"
    ]


def test_no_key_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with pytest.raises(Failure) as caught:
        find_signer(None, "h")
    first, *lines = str(caught.value).splitlines()
    assert first == "no key to sign with"
    assert any("SSH_AUTH_SOCK" in line for line in lines)
    assert any(f"{tmp_path}/.ssh/id_ed25519" in line for line in lines)


def test_keys_that_cannot_be_used_are_named(tmp_path: Path, keys: Keys) -> None:
    (tmp_path / "bad").write_text("nonsense")
    with pytest.raises(Failure, match=f"not tried: {tmp_path}/bad is no private key"):
        default_keys(KeyOptions(None, files=(tmp_path / "bad",)))
