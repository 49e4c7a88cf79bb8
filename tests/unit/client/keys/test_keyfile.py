from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa

from medusa.client.keys import keyfile
from medusa.client.keys.keyfile import FileSigner, KeyFile, files_in
from medusa.client.outcome import Failure
from medusa.keys import PublicKey
from tests.signing import Key, Keys, write_key
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


CERTIFICATE = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
PARAMETERS = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
BAG = b"Bag Attributes\n    friendlyName: M\xfcller\n    localKeyID: 01 23\nKey Attributes: <No Attributes>\n"
BOM = b"\xef\xbb\xbf"

WAYS: dict[str, Callable[[bytes], bytes]] = {
    "bag": lambda pem: BAG + pem,
    "blank lines": lambda pem: b"\n \n" + pem,
    "BOM": lambda pem: BOM + pem,
    "BOM and text": lambda pem: BOM + b"a key\n" + pem,
    "CRLF": lambda pem: pem.replace(b"\n", b"\r\n"),
    "BOM and CRLF": lambda pem: BOM + pem.replace(b"\n", b"\r\n"),
    "white space": lambda pem: pem.replace(b"\n", b" \t\n"),
    "text behind": lambda pem: pem + b"and so on\n",
    "no last newline": lambda pem: pem.rstrip(),
    "certificate before": lambda pem: CERTIFICATE + pem,
    "certificate behind": lambda pem: pem + CERTIFICATE,
    "parameters": lambda pem: PARAMETERS + pem,
    "public key before": lambda pem: CERTIFICATE.replace(b"CERTIFICATE", b"PUBLIC KEY") + pem,
    "much text": lambda pem: b"some words\n" * 20_000 + pem,
    "another key behind": lambda pem: pem + Key("ed25519").pem(),
}


@pytest.mark.parametrize("way", WAYS)
def test_whatever_ssh_keygen_reads_is_read(
    keys: Keys, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyfile, "_ask", lambda prompt: PASSPHRASE)
    path = tmp_path / "key"
    path.touch(0o600)
    for kind, form, passphrase in [
        ("rsa", "pkcs8", b""),
        ("ecdsa256", "traditional", b""),
        ("rsa", "traditional", PASSPHRASE),
        ("ecdsa384", "pkcs8", PASSPHRASE),
    ]:
        write(path, keys[kind], form, passphrase)
        path.write_bytes(WAYS[way](path.read_bytes()))
        judge = subprocess.run(["ssh-keygen", "-y", "-P", PASSPHRASE, "-f", path], capture_output=True, check=True)
        assert judge.stdout.split()[:2] == keys[kind].line.split()[:2]
        assert KeyFile(path).signer().public.md5 == keys[kind].md5
        assert [file.path for file in files_in(tmp_path)] == [path]


@pytest.mark.parametrize("way", WAYS)
def test_a_key_of_openssh_too(keys: Keys, way: str, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(WAYS[way](keys["ed25519"].pem()))
    assert KeyFile(tmp_path / "key").signer().public.md5 == keys["ed25519"].md5
    public = KeyFile(tmp_path / "key").public()
    assert public is not None
    assert public.md5 == keys["ed25519"].md5


def test_the_public_half_of_a_locked_key_is_known_or_in_the_file_beside_it(keys: Keys, tmp_path: Path) -> None:
    assert KeyFile(write(tmp_path / "key", keys["rsa"], "traditional", PASSPHRASE)).public() is None
    (tmp_path / "key.pub").write_bytes(
        BOM + b"# M\xfcller\r\n\r\n" + keys["rsa"].line.replace(b"\n", b" M\xfcller\r\n")
    )
    write(tmp_path / "own", keys["rsa"], "openssh", PASSPHRASE)
    for name in ("key", "own"):
        public = KeyFile(tmp_path / name).public()
        assert public is not None
        assert public.md5 == keys["rsa"].md5


ASK = """
import sys
from collections.abc import Callable
from pathlib import Path
from medusa.client.keys import keyfile
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


@pytest.mark.parametrize(
    "cipher",
    [
        *(f"aes{bits}-{mode}" for bits in (128, 192, 256) for mode in ("ctr", "cbc")),
        *("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com", "3des-cbc"),
    ],
)
def test_every_cipher_of_openssh(keys: Keys, cipher: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_key(tmp_path / "key", keys["ed25519"])
    subprocess.run(["ssh-keygen", "-q", "-p", "-a1", "-Z", cipher, "-N", PASSPHRASE, "-f", path], check=True, stdout=-3)
    typed = [PASSPHRASE, b"wrong", b""]
    monkeypatch.setattr(keyfile, "_ask", lambda prompt: typed.pop())
    assert KeyFile(path).signer().public.md5 == keys["ed25519"].md5
    typed[:] = [b"wrong"] * 3
    with pytest.raises(Failure, match="wrong passphrase"):
        KeyFile(path).signer()


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl")
@pytest.mark.parametrize(
    "words",
    [
        *(f"rsa -traditional -{cipher}" for cipher in ("aes128", "aes192", "aes256", "des3")),
        *(f"pkcs8 -topk8 -v2 {cipher}" for cipher in ("aes-192-cbc", "aes-256-cbc", "des-ede3-cbc")),
        *("pkcs8 -topk8 -v1 PBE-SHA1-3DES", "pkcs8 -topk8 -scrypt"),
    ],
)
def test_the_ciphers_of_openssl(keys: Keys, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, path = write(tmp_path / "plain", keys["rsa"], "pkcs8"), tmp_path / "key"
    more = ["-in", str(plain), "-out", str(path), "-passout", f"pass:{PASSPHRASE.decode()}"]
    subprocess.run(["openssl", *words.split(), *more], check=True, capture_output=True)
    typed = [PASSPHRASE, b"wrong", b""]
    monkeypatch.setattr(keyfile, "_ask", lambda prompt: typed.pop())
    assert KeyFile(path).signer().public.md5 == keys["rsa"].md5


def test_a_cipher_that_is_not_known(tmp_path: Path, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyfile, "_ask", lambda prompt: PASSPHRASE)
    pem = write(tmp_path / "key", keys["rsa"], "traditional", PASSPHRASE).read_bytes()
    (tmp_path / "key").write_bytes(pem.replace(b"AES-256-CBC", b"SEED-CBC"))
    with pytest.raises(Failure, match="ssh-agent, or encrypt it anew by: ssh-keygen -p -f FILE"):
        KeyFile(tmp_path / "key").signer()


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


def test_nobody_is_asked_in_the_background(keys: Keys, home: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "key", keys["ed25519"], "openssh", PASSPHRASE)
    argv = ["bash", "-c", 'set -m; "$@" & wait', "bash", sys.executable, "-c", ASK, str(path)]
    with terminal(argv, environment(home)) as opened:
        opened.until("needs a passphrase, and mlogin is in the background")


def _dsa() -> bytes:
    form = serialization.PrivateFormat.TraditionalOpenSSL
    return dsa.generate_private_key(2048).private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "is empty, or cannot be read"),
        (b"rubbish", "is no private key"),
        (Key("ed25519").line, "is a public key; name the private one"),
        (BOM + b"\r\n" + Key("ed25519").line, "is a public key; name the private one"),
        (b"PuTTY-User-Key-File-3: ssh-ed25519\n", "puttygen FILE -O private-openssh"),
        (Key("ed25519").pem().decode().encode("utf-16"), "iconv -f UTF-16"),
        (b"-----BEGIN PRIVATE KEY-----\nrubbish\n-----END PRIVATE KEY-----\n", "a private key that cannot be read"),
        (b"-----BEGIN OPENSSH PRIVATE KEY-----\n!!\n", "a private key that cannot be read"),
        (b"-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA\n", "a private key that cannot be read"),
        (Key("rsa1024").pem(), "an RSA key of 1024 bits is too short"),
        (_dsa(), "not an RSA, ECDSA or Ed25519 key"),
    ],
    ids=[
        "empty",
        "no key",
        "public",
        "public of Windows",
        "PuTTY",
        "UTF-16",
        "rubbish",
        "not base64",
        "cut off",
        "short",
        "dsa",
    ],
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
