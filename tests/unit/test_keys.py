"""Keys of every kind, as ssh-keygen makes them and its tools know them."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from medusa.keys import ALGORITHMS, BadKey, PublicKey, decoy
from tests.signing import Key, Keys

KINDS = ["rsa", "ed25519", "ecdsa256", "ecdsa384", "ecdsa521"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_verifies_its_owners_signature_and_no_other(keys: Keys, kind: str) -> None:
    key, public = keys[kind], PublicKey.from_ssh(keys[kind].line)
    signature = key.sign("text")
    assert public.algorithm == key.algorithm
    assert public.verify(key.algorithm, signature, b"text")
    assert not public.verify(key.algorithm, signature, b"other")
    assert not public.verify(key.algorithm, signature[:-1], b"text")
    assert not public.verify(key.algorithm, b"", b"text")
    for name in set(ALGORITHMS) - {key.algorithm, "ed25519" if kind == "ed25519" else ""}:
        assert not public.verify(name, signature, b"text"), name
    assert not public.verify("none", signature, b"text")


@pytest.mark.parametrize("kind", KINDS)
def test_fingerprints_are_those_of_ssh_keygen(keys: Keys, kind: str, tmp_path: Path) -> None:
    (tmp_path / "key.pub").write_bytes(keys[kind].line)
    public = PublicKey.from_ssh(keys[kind].line)
    for form, ours in (("md5", "MD5:" + public.md5), ("sha256", public.sha256)):
        shown = subprocess.run(
            ["ssh-keygen", "-l", "-E", form, "-f", tmp_path / "key.pub"], capture_output=True, text=True, check=True
        ).stdout.split()[1]
        assert shown == ours
        assert public.matches(shown)
    assert public.matches(public.md5.upper())
    assert not public.matches("")
    assert not public.matches(keys["rsa"].md5 if kind != "rsa" else keys["ed25519"].md5)


def _string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"ssh-rsa",
        b"ssh-rsa AAAA",
        b"ssh-rsa !!!",
        b"ssh-dss AAAAB3NzaC1kc3M=",
        b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA==",
        b"sk-ssh-ed25519@openssh.com " + base64.b64encode(_string(b"sk-ssh-ed25519@openssh.com") + _string(bytes(32))),
    ],
)
def test_a_line_that_is_no_key(line: bytes) -> None:
    with pytest.raises(BadKey):
        PublicKey.from_ssh(line)


def test_a_short_rsa_key_is_refused() -> None:
    with pytest.raises(BadKey, match="1024 bits is too short"):
        PublicKey.from_ssh(Key("rsa1024").line)


@pytest.mark.parametrize(("bits", "exponent"), [(2048, 2**32 + 1), (3072, 2**3000 + 1), (16392, 65537)])
def test_a_key_that_takes_long_to_verify_with_is_refused(bits: int, exponent: int) -> None:
    form = serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    line = rsa.RSAPublicNumbers(exponent, 2**bits - 1).public_key().public_bytes(*form)
    with pytest.raises(BadKey, match="huge exponent"):
        PublicKey.from_ssh(line)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_decoy_takes_its_algorithm_and_verifies_nothing(keys: Keys, algorithm: str) -> None:
    assert decoy(algorithm).takes(algorithm)
    for kind in KINDS:
        assert not decoy(algorithm).verify(algorithm, keys[kind].sign("text"), b"text")


def test_a_curve_has_one_digest(keys: Keys) -> None:
    public = PublicKey.from_ssh(keys["ecdsa384"].line)
    assert not public.verify("ecdsa-sha256", keys["ecdsa384"].sign("text", "ecdsa-sha256"), b"text")
