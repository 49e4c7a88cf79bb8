from __future__ import annotations

import datetime
import os
import ssl
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from structlog.types import EventDict

from medusa.reflector.config import ConfigError
from medusa.reflector.net.certificate import Certificate, is_open_to_others
from tests.links import CERTIFICATE

WORDS = "req -x509 -newkey {} -nodes -days {} -subj /CN=localhost -keyout {} -out {}"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of certificates, keys, and what is neither."""
    made = tmp_path_factory.mktemp("tls")
    for name, kind in (("rsa", "rsa:2048"), ("other", "rsa:2048"), ("weak", "rsa:512")):
        openssl(WORDS.format(kind, 2, made / f"{name}.key", made / f"{name}.pem"))
    openssl(f"pkey -in {made}/rsa.key -aes256 -passout pass:x -out {made}/encrypted.key")
    (made / "garbage").write_text("no PEM\n")
    (made / "half").write_text("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")
    (made / "half.key").write_text("-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n")
    return made


def openssl(words: str) -> None:
    subprocess.run(["openssl", *words.split()], check=True, capture_output=True)


def test_it_is_told_what_was_loaded(files: Path, logs: list[EventDict]) -> None:
    certificate = Certificate(str(files / "rsa.pem"), str(files / "rsa.key"))
    (entry,) = logs
    assert (entry["event"], entry["log_level"], len(entry["sha256"])) == ("certificate loaded", "info", 64)
    assert entry["expires"].startswith("20")
    assert certificate.context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert certificate.context.options & ssl.OP_NO_RENEGOTIATION
    assert certificate.context.options & ssl.OP_NO_COMPRESSION


@pytest.mark.parametrize(
    ("certificate", "key", "text"),
    [
        ("none", "rsa.key", r"^tls-cert: cannot read '.*/none': no such file"),
        ("rsa.pem", "none", r"^tls-key: cannot read '.*/none': no such file"),
        (".", "rsa.key", r"^tls-cert: cannot read .*: is a directory"),
        ("garbage", "rsa.key", r"^tls-cert: '.*/garbage' holds no certificate in PEM"),
        ("half", "rsa.key", r"^tls-cert: '.*/half' holds no certificate in PEM"),
        ("rsa.key", "rsa.key", r"^tls-cert: '.*/rsa.key' holds no certificate in PEM"),
        ("rsa.pem", "garbage", r"^tls-key: '.*/garbage' holds no private key"),
        ("rsa.pem", "half.key", r"^tls-key: '.*/half.key' holds no private key"),
        ("rsa.pem", "rsa.pem", r"^tls-key: '.*/rsa.pem' holds no private key"),
        ("rsa.pem", "other.key", r"^tls-key: '.*/other.key' is not the key of the certificate in '.*/rsa.pem'"),
        ("rsa.pem", str(CERTIFICATE), r"^tls-key: '.*/localhost.pem' is not the key of the certificate"),
        ("rsa.pem", "encrypted.key", r"^tls-key: '.*/encrypted.key' is encrypted, .* openssl pkey -in"),
        ("weak.pem", "weak.key", r"^tls-cert: '.*/weak.pem' is too weak: ee key too small"),
        ("a\0b", "rsa.key", r"^tls-cert: cannot read 'a\\x00b': embedded null byte"),
    ],
)
def test_what_cannot_be_used(
    files: Path, logs: list[EventDict], monkeypatch: pytest.MonkeyPatch, certificate: str, key: str, text: str
) -> None:
    monkeypatch.chdir(files)
    where = [name if "\0" in name else str(files / name) for name in (certificate, key)]
    with pytest.raises(ConfigError, match=text) as caught:
        Certificate(*where)
    assert str(caught.value).isprintable()
    assert logs == []


def test_a_bad_reload_keeps_what_there_is(files: Path, logs: list[EventDict], tmp_path: Path) -> None:
    live = tmp_path / "live.pem"
    live.write_bytes(CERTIFICATE.read_bytes())
    live.chmod(0o600)
    certificate = Certificate(str(live), str(live))
    old = certificate.context
    live.write_text("")
    certificate.reload()
    assert certificate.context is old
    assert [entry["event"] for entry in logs] == ["certificate loaded", "certificate not reloaded"]
    assert logs[-1]["log_level"] == "error"
    live.write_bytes(CERTIFICATE.read_bytes())
    certificate.reload()
    assert certificate.context is not old


@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o400, False), (0o640, True), (0o604, True)])
def test_a_key_that_others_can_read(files: Path, logs: list[EventDict], mode: int, warned: bool) -> None:
    key = files / "rsa.key"
    key.chmod(mode)
    Certificate(str(files / "rsa.pem"), str(key))
    key.chmod(0o600)
    warnings = [entry for entry in logs if entry["log_level"] == "warning"]
    assert [entry["mode"] for entry in warnings] == (["%03o" % mode] if warned else [])


def test_one_that_has_expired_is_warned_of(files: Path, logs: list[EventDict]) -> None:
    key, name = (
        ec.generate_private_key(ec.SECP256R1()),
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]),
    )
    then = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, then, then + datetime.timedelta(days=1))
    late = files / "late.pem"
    late.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    late.with_suffix(".key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    late.with_suffix(".key").chmod(0o600)
    Certificate(str(late), str(late.with_suffix(".key")))
    assert [entry["event"] for entry in logs] == ["certificate loaded", "certificate has expired"]


@pytest.mark.parametrize(
    ("mode", "owner", "process", "refused"),
    [
        (0o440, 0, 10001, False),  # a volume of a Secret: root's, and of the group that the process has
        (0o640, 0, 10001, False),
        (0o460, 0, 10001, True),
        (0o444, 0, 10001, True),
        (0o440, 10001, 10001, True),
        (0o440, 0, 0, True),
    ],
)
def test_a_file_of_root_that_a_group_reads(
    monkeypatch: pytest.MonkeyPatch, mode: int, owner: int, process: int, refused: bool
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: process)
    assert is_open_to_others(os.stat_result((mode, 0, 0, 1, owner, 10001, 0, 0, 0, 0))) is refused
