from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from agent.config.configuration import Config, ConfigError, load
from agent.config.shared_options import headers_of
from agent.config.sources import configured, obtain
from medusa.client.launchers.base import JobRequest

URL = "https://eu.example:8443/poe/medusa/attach/1/slave?signature=abc%2B%3D"


def write(path: Path, record: object) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(record if isinstance(record, str) else json.dumps(record))
    return str(path)


def test_option_goes_before_environment_before_assets(tmp_path: Path) -> None:
    record = {"signed_url": URL}
    asset = write(tmp_path / "poe/stor/medusa-config-1.json", record)
    option, variable, old = (write(tmp_path / name, record) for name in ("option", "variable", "old"))
    environ = {"MEDUSA_AGENT_CONFIG": variable, "MEDUSA_CONFIG": old}
    assert obtain(None, option, False, environ, str(tmp_path)) == Config(URL, path=option)
    assert obtain(None, None, False, environ, str(tmp_path)) == Config(URL, path=variable)
    advice = "MEDUSA_CONFIG names the user's config file; name the agent's by MEDUSA_AGENT_CONFIG"
    assert obtain(None, None, False, {"MEDUSA_CONFIG": old}, str(tmp_path)) == Config(URL, path=old, advice=advice)
    assert obtain(None, None, False, {}, str(tmp_path)) == Config(URL, path=asset)


@pytest.mark.parametrize("text", ["[gpu]\nlauncher = slurm\n", '{"reflector": "https://r"}', "", None])
def test_the_users_config_file_is_left_alone(tmp_path: Path, text: str | None) -> None:
    environ = {"MEDUSA_CONFIG": str(tmp_path / "none") if text is None else write(tmp_path / "user", text)}
    assert not configured(environ)
    with pytest.raises(ConfigError, match=r"no configuration: .*; MEDUSA_CONFIG names no configuration of an agent"):
        obtain(None, None, False, environ, str(tmp_path))
    asset = write(tmp_path / "poe/stor/medusa-config-1.json", {"signed_url": URL})
    assert obtain(None, None, False, environ, str(tmp_path)) == Config(URL, path=asset)


def test_newest_asset_wins(tmp_path: Path) -> None:
    old = write(tmp_path / "poe/stor/medusa-config-2.json", {"signed_url": URL})
    new = write(tmp_path / "poe/stor/medusa-config-1.json", {"signed_url": URL})
    os.utime(old, (1, 1))
    assert obtain(None, None, False, {}, str(tmp_path)).path == new


def test_no_configuration_names_all_places(tmp_path: Path) -> None:
    write(tmp_path / "poe/stor/other.json", {})
    with pytest.raises(
        ConfigError,
        match=r"a URL, --config, MEDUSA_SIGNED_URL, MEDUSA_AGENT_CONFIG, or .*/\*/stor/medusa-config-\*\.json",
    ):
        obtain(None, None, False, {"MEDUSA_CONFIG": "", "MEDUSA_AGENT_CONFIG": ""}, str(tmp_path))


def test_unknown_keys_are_ignored(tmp_path: Path) -> None:
    path = write(tmp_path / "c", {"signed_url": URL, "insecure_tls": True, "later": 1})
    assert load(path) == Config(URL, True, path)
    path = write(tmp_path / "c", {"signed_url": URL})
    assert load(path) == Config(URL, False, path)


def test_headers_of_options_go_before_variables_before_the_file(tmp_path: Path) -> None:
    request = JobRequest(session_url=lambda _: URL, headers=[("A", "1"), ("B", '"[')])
    path = write(tmp_path / "c", request.config())
    assert load(path).headers.read() == request.headers
    environ = {name: text for name, text in request.variables().items() if name == "MEDUSA_HEADER"}
    assert obtain(URL, None, False, environ).headers.read() == request.headers
    assert obtain(None, path, False, {"MEDUSA_HEADER": "C: 3"}).headers.read() == [("C", "3")]
    headers = headers_of(["D: 4"], None, environ)
    assert obtain(None, path, False, environ, headers=headers).headers.read() == [("D", "4")]
    for wrong in ("A: 1", [1], ["A"], ["Host: x"]):
        with pytest.raises(ConfigError, match="headers: "):
            load(write(tmp_path / "c", {"signed_url": URL, "headers": wrong}))


def test_argument_goes_before_file_before_variable_before_named_file(tmp_path: Path) -> None:
    path = write(tmp_path / "c", {"signed_url": URL + "file"})
    environ = {"MEDUSA_SIGNED_URL": URL + "variable", "MEDUSA_AGENT_CONFIG": path}
    assert obtain(URL, path, False, environ) == Config(URL)
    assert obtain(None, path, False, environ) == Config(URL + "file", path=path)
    assert obtain(None, None, False, environ) == Config(URL + "variable")
    environ["MEDUSA_SIGNED_URL"] = ""
    assert obtain(None, None, False, environ) == Config(URL + "file", path=path)
    asset = write(tmp_path / "poe/stor/medusa-config-1.json", {"signed_url": URL})
    assert obtain(None, None, False, {}, str(tmp_path)) == Config(URL, path=asset)


@pytest.mark.parametrize(
    ("option", "variable", "insecure"),
    [(False, "", False), (True, "", True), (False, "1", True), (False, "True", True), (True, "0", True)],
)
def test_certificate_need_not_be_verified_if_anybody_says_so(
    tmp_path: Path, option: bool, variable: str, insecure: bool
) -> None:
    path = write(tmp_path / "c", {"signed_url": URL})
    environ = {"MEDUSA_SIGNED_URL": URL, "MEDUSA_INSECURE_TLS": variable}
    assert obtain(URL, None, option, environ).insecure_tls is insecure
    assert obtain(None, path, option, environ).insecure_tls is insecure
    assert obtain(None, None, option, environ).insecure_tls is insecure
    path = write(tmp_path / "c", {"signed_url": URL, "insecure_tls": True})
    assert obtain(None, path, option, environ).insecure_tls


@pytest.mark.parametrize(
    ("argument", "environ", "text"),
    [
        ("", {}, "the URL argument: scheme is none of http, https, ws, wss, tcp"),
        ("http://a/top-secret\n", {}, "the URL argument: holds a space, control or non-ASCII character"),
        (None, {"MEDUSA_SIGNED_URL": "top-secret"}, "MEDUSA_SIGNED_URL: scheme is none of http, https, ws, wss, tcp"),
        (URL, {"MEDUSA_INSECURE_TLS": "top-secret"}, "MEDUSA_INSECURE_TLS: none of 0, false, 1, true"),
    ],
)
def test_bad_value_is_named_by_its_source(argument: str | None, environ: dict[str, str], text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        obtain(argument, None, False, environ)
    assert str(caught.value) == text
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ("{", r"not JSON in UTF-8 \(line 1, column 2\)"),
        ("[" * 60000, "not JSON"),
        ([], "not a JSON object"),
        ({}, "signed_url: missing"),
        ({"signed_url": 5}, "signed_url: not a string"),
        ({"signed_url": ""}, "signed_url: scheme is none of http, https, ws, wss, tcp"),
        ({"signed_url": "ftp://top-secret/"}, "signed_url: scheme is none of"),
        ({"signed_url": "http:///top-secret"}, "signed_url: names no host"),
        ({"signed_url": "http://a:top-secret/"}, "signed_url: not a URL"),
        ({"signed_url": "http://a/top-secret b"}, "signed_url: holds a space"),
        ({"signed_url": "http://a/top-secret\r\nX: y"}, "signed_url: holds a space"),
        ({"signed_url": URL, "insecure_tls": "top-secret"}, "insecure_tls: neither true nor false"),
        ({"signed_url": URL, "x": "x" * 70000}, "more than 65536 bytes"),
    ],
)
def test_bad_file_is_named_with_key_and_reason_but_no_value(tmp_path: Path, record: object, reason: str) -> None:
    path = write(tmp_path / "config.json", record)
    with pytest.raises(ConfigError, match=reason) as caught:
        load(path)
    assert str(caught.value).startswith(path + ": ")
    assert "top-secret" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize(
    ("name", "reason"), [("missing", "No such file or directory"), ("", "Is a directory"), ("\0", "null byte")]
)
def test_unreadable_file(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        load(os.path.join(tmp_path, name))


def test_no_utf8(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(b'{"signed_url": "\xff"}')
    with pytest.raises(ConfigError, match="not JSON in UTF-8"):
        load(str(path))


def test_url_is_not_in_repr() -> None:
    assert "abc" not in repr(Config(URL))
