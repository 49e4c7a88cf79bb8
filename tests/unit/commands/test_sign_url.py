from __future__ import annotations

import time
import urllib.parse
from pathlib import Path

import pytest

from medusa.commands import sign_url
from medusa.keys import PublicKey
from medusa.protocol.http.signature import parse_presigned, presigned_text
from tests.signing import Key, write_key
from tests.unit.commands.conftest import Complaint


@pytest.fixture
def identity(tmp_path: Path, key: Key) -> list[str]:
    path = write_key(tmp_path / "key", key)
    return ["-a", "jill", "--user", "joe", "-k", str(path), "-u", "https://host:8443/prefix/"]


@pytest.mark.parametrize(
    ("session", "path"),
    [
        ("4711", "/jill/medusa/attach/4711/slave"),
        ("a/b", "/jill/medusa/attach/a%2Fb/slave"),
        ("/jill/stor/x", "/jill/stor/x"),
    ],
)
def test_the_url(identity: list[str], key: Key, session: str, path: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = int(time.time())
    assert sign_url.main([*identity, "--expires", "60", session]) == 0
    (url,) = capsys.readouterr().out.splitlines()
    parts = urllib.parse.urlsplit(url)
    assert url.startswith(f"https://host:8443/prefix{path}?")
    _, parameters, signature = parse_presigned(f"{path}?{parts.query}")
    assert before + 60 <= int(parameters["expires"]) <= time.time() + 60
    assert parameters["keyId"] == f"/jill/joe/keys/{key.md5}"
    text = presigned_text("GET", "host:8443", path, parameters)
    assert PublicKey.from_ssh(key.line).verify(key.algorithm, signature, text)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        (["-a", ""], "which account?"),
        (["-a", "a/b"], "'a/b' is no login"),
        (["--user", "a\x1b"], "no login"),
        (["-k", "/nowhere/key"], "no key file /nowhere/key"),
        (["-u", ""], "which reflector? Give --reflector URL or set MEDUSA_REFLECTOR"),
        (["-u", "host"], "--reflector is not of the form https://HOST"),
        (["-u", "https://jill:secret@host"], "--reflector is not of the form https://HOST"),
        (["--reflector", "https://host?secret"], "--reflector is not of the form https://HOST"),
    ],
)
def test_what_is_wrong(identity: list[str], changed: list[str], why: str, complaint: Complaint) -> None:
    err = complaint(sign_url.main, [*identity, *changed, "4711"], 1)
    assert err.startswith("medusa sign-url: ")
    assert why in err
    assert "secret" not in err


@pytest.mark.parametrize(
    ("variables", "host"),
    [
        (["MEDUSA_REFLECTOR", "MEDUSA_URL", "MANTA_URL"], "medusa_reflector"),
        (["MEDUSA_URL", "MANTA_URL"], "medusa_url"),
        (["MANTA_URL"], "manta_url"),
    ],
)
def test_the_reflector_by_a_variable(
    identity: list[str],
    variables: list[str],
    host: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in variables:
        monkeypatch.setenv(name, f"https://{name.lower()}")
    assert sign_url.main([*identity[:-2], "4711"]) == 0
    assert capsys.readouterr().out.startswith(f"https://{host}/jill/")


@pytest.mark.parametrize("arguments", [[], ["--expires", "0", "x"], ["--expires", "soon", "x"]])
def test_wrong_usage(identity: list[str], arguments: list[str], complaint: Complaint) -> None:
    complaint(sign_url.main, [*identity, *arguments], 2)
