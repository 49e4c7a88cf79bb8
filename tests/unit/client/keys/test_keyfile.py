from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa

from medusa.client.keys.keyfile import FileSigner, KeyFile, files_in
from medusa.client.outcome import Failure
from medusa.keys import PublicKey
from tests.signing import Key, Keys
from tests.terminals import environment, terminal

KINDS = ["rsa", "ecdsa256", "ecdsa384", "ecdsa521", "ed25519"]
FORMS = {
    "openssh": serialization.PrivateFormat.OpenSSH,
    "pkcs8": serialization.PrivateFormat.PKCS8,
    "traditional": serialization.PrivateFormat.TraditionalOpenSSL,
}
PASSPHRASE = b"open sesame"
TEXT = b"date: Sun, 06 Nov 1994 08:49:37 GMT"


def write(path: Path, key: Key, form: str = "openssh", passphrase: bytes = b"") -> Path:
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        encryption = serialization.BestAvailableEncryption(passphrase)
    private = serialization.load_ssh_private_key(key.pem(), None)
    path.write_bytes(private.private_bytes(serialization.Encoding.PEM, FORMS[form], encryption))
    return path


@pytest.mark.parametrize(
    ("kind", "form"), [(k, f) for k in KINDS for f in FORMS if (k, f) != ("ed25519", "traditional")]
)
def test_every_kind_in_every_form_signs(keys: Keys, kind: str, form: str, tmp_path: Path) -> None:
    file = KeyFile(write(tmp_path / "key", keys[kind], form))
    signer = file.signer()
    assert isinstance(signer, FileSigner)
    assert (signer.public.md5, signer.public.algorithm) == (keys[kind].md5, keys[kind].algorithm)
    assert PublicKey.from_ssh(keys[kind].line).verify(keys[kind].algorithm, signer.sign(TEXT), TEXT)
    public = file.public()
    assert public is not None
    assert public.md5 == keys[kind].md5
    assert signer.where == str(file.path)


def test_the_public_half_of_a_locked_key_is_known_or_in_the_file_beside_it(keys: Keys, tmp_path: Path) -> None:
    assert KeyFile(write(tmp_path / "key", keys["rsa"], "traditional", PASSPHRASE)).public() is None
    (tmp_path / "key.pub").write_bytes(keys["rsa"].line)
    write(tmp_path / "own", keys["rsa"], "openssh", PASSPHRASE)
    for name in ("key", "own"):
        public = KeyFile(tmp_path / name).public()
        assert public is not None
        assert public.md5 == keys["rsa"].md5


ASK = """
import sys
from pathlib import Path
from medusa.client.keys.keyfile import KeyFile
from medusa.client.outcome import Failure
try:
    print("got", KeyFile(Path(sys.argv[1])).signer().public.md5)
except Failure as failure:
    print("failed:", failure)
"""


@pytest.mark.parametrize("form", ["openssh", "traditional"])
def test_the_passphrase_is_asked_for_on_the_terminal(keys: Keys, form: str, home: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "key", keys["rsa"], form, PASSPHRASE)
    with terminal([sys.executable, "-c", ASK, str(path)], environment(home)) as opened:
        for typed in (b"", b"wrong", PASSPHRASE):
            opened.until(f"Passphrase for {path}: ")
            opened.type(typed + b"\r")
        opened.until(f"got {keys['rsa'].md5}")
        assert opened.status() == 0
        assert PASSPHRASE not in opened.screen
        assert opened.modes() == opened.modes_at_start


def test_three_wrong_passphrases_are_enough(keys: Keys, home: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "key", keys["ed25519"], "openssh", PASSPHRASE)
    with terminal([sys.executable, "-c", ASK, str(path)], environment(home)) as opened:
        for _ in range(3):
            opened.until("Passphrase for ")
            opened.type("wrong\r")
        opened.until(f"failed: {path}: wrong passphrase")


def test_without_a_terminal_nobody_is_asked(keys: Keys, tmp_path: Path) -> None:
    path = write(tmp_path / "key", keys["ed25519"], "openssh", PASSPHRASE)
    run = subprocess.run(
        [sys.executable, "-c", ASK, path], input=PASSPHRASE + b"\n", capture_output=True, start_new_session=True
    )
    assert run.stdout.decode() == (
        f"failed: {path} needs a passphrase, and there is no terminal to ask on; put it into ssh-agent\n"
    )


def _dsa() -> bytes:
    form = serialization.PrivateFormat.TraditionalOpenSSL
    return dsa.generate_private_key(2048).private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "is empty, or cannot be read"),
        (b"rubbish", "is no private key"),
        (Key("ed25519").line, "is a public key; name the private one"),
        (b"-----BEGIN PRIVATE KEY-----\nrubbish\n-----END PRIVATE KEY-----\n", "a private key that cannot be read"),
        (b"-----BEGIN OPENSSH PRIVATE KEY-----\n!!\n", "a private key that cannot be read"),
        (b"-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA\n", "a private key that cannot be read"),
        (Key("rsa1024").pem(), "an RSA key of 1024 bits is too short"),
        (_dsa(), "not an RSA, ECDSA or Ed25519 key"),
    ],
    ids=["empty", "no key", "public", "rubbish", "not base64", "cut off", "short", "dsa"],
)
def test_what_is_no_key_to_sign_with_is_refused(data: bytes, why: str, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(data)
    file = KeyFile(path)
    assert file.public() is None or b"ssh-" in data
    with pytest.raises(Failure, match=why) as caught:
        file.signer()
    assert str(path) in str(caught.value)


def test_a_directory_is_searched_for_private_keys_alone(keys: Keys, tmp_path: Path) -> None:
    for name in ("b", "a"):
        write(tmp_path / name, keys["ed25519"])
    (tmp_path / "a.pub").write_bytes(keys["ed25519"].line)
    (tmp_path / "known_hosts").write_bytes(b"somewhere " + keys["ed25519"].line)
    (tmp_path / "config.d").mkdir()
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "dangling").symlink_to("nowhere")
    assert [file.path.name for file in files_in(tmp_path)] == ["a", "b"]
    assert list(files_in(tmp_path / "none")) == []
