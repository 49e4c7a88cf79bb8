from __future__ import annotations

import urllib.parse
from pathlib import Path

import pytest

from medusa.client.keys.account import NONCE, Account, find_signer
from medusa.client.keys.keyfile import KeyFile
from medusa.client.outcome import Failure
from medusa.keys import PublicKey
from medusa.protocol.http.signature import (
    KeyId,
    header_text,
    parse_authorization,
    parse_presigned,
    presigned_text,
)
from tests.signing import Key, Keys, write_key
from tests.sshagents import needs_ssh_agent, scripted_agent, ssh_agent

NOW = 784111777.9
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
TARGET = "/jill/medusa/attach/4711/master"


@pytest.fixture(autouse=True)
def user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where the user's keys are; no ssh-agent."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    (tmp_path / ".ssh").mkdir()
    return tmp_path / ".ssh"


def account(path: Path, key: Key, user: str | None = None) -> Account:
    return Account("jill", user, KeyFile(write_key(path / "key", key)).signer(), lambda: NOW)


@pytest.mark.parametrize("kind", ["rsa", "ecdsa384", "ed25519"])
def test_a_request_is_signed_with_its_target_its_host_and_its_date(user: Path, keys: Keys, kind: str) -> None:
    key = keys[kind]
    headers = dict(account(user, key).authorization("GET", TARGET, "host:8443"))
    assert headers["Date"] == DATE
    credentials = parse_authorization(headers["Authorization"])
    assert credentials.key_id == KeyId("jill", None, key.md5)
    assert (credentials.algorithm, credentials.headers) == (key.algorithm, ("(request-target)", "host", "date", NONCE))
    nonce = headers["Medusa-Nonce"]
    text = header_text(credentials.headers, "GET", TARGET, {"host": "host:8443", "date": DATE, NONCE: nonce})
    assert text == f"(request-target): get {TARGET}\nhost: host:8443\ndate: {DATE}\nmedusa-nonce: {nonce}".encode()
    assert PublicKey.from_ssh(key.line).verify(key.algorithm, credentials.signature, text)


def test_two_requests_within_a_second_have_two_signatures(user: Path, key: Key) -> None:
    signs = account(user, key)
    assert signs.authorization("GET", TARGET, "host") != signs.authorization("GET", TARGET, "host")
    assert signs.presign("tcp://h:1", TARGET, 30, nonce=True) != signs.presign("tcp://h:1", TARGET, 30, nonce=True)


@pytest.mark.parametrize("base", ["https://host:8443", "https://host:8443/", "wss://host:8443/prefix/"])
def test_a_url_is_signed_without_the_path_that_a_proxy_takes_off(user: Path, keys: Keys, base: str) -> None:
    key = keys["ed25519"]
    url = account(user, key, "joe").presign(base, TARGET, 300)
    assert url.startswith(base.rstrip("/") + TARGET + "?")
    path, parameters, signature = parse_presigned(TARGET + "?" + urllib.parse.urlsplit(url).query)
    assert parameters == {
        "algorithm": "ED25519-SHA512",
        "expires": str(int(NOW + 300)),
        "keyId": f"/jill/joe/keys/{key.md5}",
    }
    text = presigned_text("GET", "host:8443", path, parameters)
    assert PublicKey.from_ssh(key.line).verify(key.algorithm, signature, text)


def test_an_account_tells_people_who_and_which_key(user: Path, keys: Keys) -> None:
    key = keys["rsa"]
    assert str(account(user, key, "joe")) == f"account jill/joe, key {key.md5} (rsa, {user}/key)"


def test_a_key_by_its_path(user: Path, keys: Keys) -> None:
    write_key(user / "some name", keys["rsa"])
    assert find_signer(str(user / "some name")).public.md5 == keys["rsa"].md5
    assert find_signer("~/.ssh/some name").public.md5 == keys["rsa"].md5


def test_a_key_by_its_public_half(user: Path, keys: Keys) -> None:
    write_key(user / "private", keys["rsa"])
    (user / "other.pub").write_bytes(keys["rsa"].line)
    assert find_signer(str(user / "other.pub")).where == str(user / "private")


def test_a_key_by_its_fingerprint_in_the_home_directory(user: Path, keys: Keys) -> None:
    held = {kind: keys[kind] for kind in ("rsa", "ecdsa384", "ed25519")}
    for name, key in held.items():
        write_key(user / name, key)
    for name, key in held.items():
        for fingerprint in (key.md5, "MD5:" + key.md5, key.md5.upper(), key.sha256):
            found = find_signer(fingerprint)
            assert (found.public.md5, found.where) == (key.md5, str(user / name))


@needs_ssh_agent
def test_the_agents_key_goes_before_that_in_a_file(user: Path, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    write_key(user / "key", keys["ed25519"])
    write_key(user / "another", keys["rsa"])
    with ssh_agent() as agent:
        monkeypatch.setenv("SSH_AUTH_SOCK", agent.environ["SSH_AUTH_SOCK"])
        agent.add(keys["ed25519"])
        assert find_signer(keys["ed25519"].sha256).where == "ssh-agent"
        assert find_signer(keys["rsa"].sha256).where == str(user / "another")
        with pytest.raises(Failure, match=f"{keys['ed25519'].md5} in ssh-agent") as caught:
            find_signer(keys["ecdsa384"].md5)
    assert f"  {keys['rsa'].md5} in {user}/another" in str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("key", "why"),
    [
        (None, "no key to sign with"),
        ("", "no key to sign with"),
        ("~/.ssh/none", "no key file ~/.ssh/none, and that is no fingerprint either"),
        ("~nobody-of-that-name/key", "no key file ~nobody-of-that-name/key, and"),
        ("aa:bb\x1b", r"no key file aa:bb\\x1b, and"),
        (":".join(["00"] * 16), "none at all in ssh-agent or "),
        ("SHA256:abc", "none at all in ssh-agent or "),
    ],
)
def test_no_key(key: str | None, why: str) -> None:
    with pytest.raises(Failure, match=why):
        find_signer(key)


def test_an_agent_that_refuses_is_named_if_no_key_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted_agent({}) as path:
        monkeypatch.setenv("SSH_AUTH_SOCK", path)
        with pytest.raises(Failure, match="the ssh-agent at SSH_AUTH_SOCK does not list its keys"):
            find_signer("SHA256:abc")


def test_a_file_that_could_be_the_key_is_named(user: Path) -> None:
    (user / "old").write_bytes(b"-----BEGIN RSA PRIVATE KEY-----\nrubbish\n")
    with pytest.raises(Failure, match=f"a key that cannot be looked into in {user}/old"):
        find_signer(":".join(["00"] * 16))
