from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from medusa.commands.options.parser import OptionParser
from tests.unit.commands.conftest import Complaint


def parser(**more: Any) -> OptionParser:
    made = OptionParser("prog", "what it does", **more)
    made.add_argument("--config", is_config_file=True, env_var="MEDUSA_CONFIG")
    made.add_argument("--bind-ip", default="default")
    made.add_argument("--port", type=int, default=1)
    made.add_argument("--loud", action="store_true")
    made.add_argument("--colour", action=argparse.BooleanOptionalAction)
    made.add_argument("--level", choices=("low", "high"), default="low")
    made.add_argument("--version", action="version", version="1")
    return made


JSON = json.dumps({"bind_ip": "x y", "port": 2, "loud": True, "level": "high"})
LINES = "# a comment\n\n bind-ip = x y \nport=2\nloud = true\nlevel = high\n"


EDITED = "\ufeff" + LINES.replace("-", "_").replace("\n", "\r\n")


@pytest.mark.parametrize("text", [JSON, LINES, "\n " + JSON, EDITED], ids=["json", "lines", "j", "edited"])
def test_a_config_file(tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "config"
    file.write_bytes(text.encode())
    found = parser().parse_args(["--config", str(file)])
    assert (found.bind_ip, found.port, found.loud, found.level) == ("x y", 2, True, "high")
    monkeypatch.setenv("MEDUSA_CONFIG", str(file))
    assert vars(parser().parse_args([])) == vars(found)


def test_command_line_over_environment_over_file_over_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "config"
    file.write_text("port = 2\nlevel = high\n")
    arguments = ["--config", str(file)]
    assert parser().parse_args([]).port == 1
    assert parser().parse_args(arguments).port == 2
    monkeypatch.setenv("MEDUSA_PORT", "3")
    monkeypatch.setenv("MEDUSA_BIND_IP", "there")
    found = parser().parse_args(arguments)
    assert (found.port, found.level, found.bind_ip, found.loud) == (3, "high", "there", False)
    assert parser().parse_args([*arguments, "--port", "4"]).port == 4


@pytest.mark.parametrize(
    ("service", "option"), [("MEDUSA", "port"), ("MEDUSA_RAW", "raw-port"), ("MEDUSA_BIND_IP", "bind-ip")]
)
@pytest.mark.parametrize("address", ["tcp://10.96.0.7:8381", "udp://10.0.0.1:53", "tcp://[fd00::7]:8381"])
def test_what_kubernetes_sets_for_a_service_is_no_option(
    monkeypatch: pytest.MonkeyPatch, service: str, option: str, address: str
) -> None:
    for name, value in {
        "SERVICE_HOST": "10.96.0.7",
        "SERVICE_PORT": "8381",
        "SERVICE_PORT_HTTP": "8381",
        "PORT": address,
        "PORT_8381_TCP": address,
        "PORT_8381_TCP_PROTO": "tcp",
        "PORT_8381_TCP_PORT": "8381",
        "PORT_8381_TCP_ADDR": "10.96.0.7",
    }.items():
        monkeypatch.setenv(f"{service}_{name}", value)
    made = parser()
    taken = ["raw-port", "service-host", "service-port", "service-port-http", "port-8381-tcp", "port-8381-tcp-port"]
    for name in taken:
        made.add_argument(f"--{name}", default=1)
    found = vars(made.parse_args([]))
    assert found == {**found, "port": 1, "bind_ip": "default", **{name.replace("-", "_"): 1 for name in taken}}
    variable = f"MEDUSA_{option.upper().replace('-', '_')}"
    monkeypatch.setenv(variable, "8")  # what a pod's own specification sets replaces the Service's variable
    assert str(vars(made.parse_args([]))[option.replace("-", "_")]) == "8"


def test_a_wrong_variable_is_named(complaint: Complaint, monkeypatch: pytest.MonkeyPatch) -> None:
    """But not if the command line overrides it, and it does not get in the way of help."""
    for name, value, why in (("PORT", "x", "invalid int value: 'x'"), ("LEVEL", "hgh", "did you mean high?")):
        monkeypatch.setenv(f"MEDUSA_{name}", value)
        said = complaint(parser().parse_args, [], 2)
        assert said.startswith(f"prog: MEDUSA_{name}: ")
        assert why in said
        assert parser().parse_args([f"--{name.lower()}", {"PORT": "2"}.get(name, "low")])
        monkeypatch.delenv(f"MEDUSA_{name}")
    monkeypatch.setenv("MEDUSA_PORT", "x")
    with pytest.raises(SystemExit, match="0"):
        parser().parse_args(["--help"])


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MEDUSA_PORT", "MEDUSA_CONFIG", "MEDUSA_LOUD", "MEDUSA_LEVEL", "MEDUSA_BIND_IP"):
        monkeypatch.setenv(name, "")
    found = parser().parse_args([])
    assert (found.port, found.config, found.loud, found.level, found.bind_ip) == (1, None, False, "low", "default")


@pytest.mark.parametrize(
    ("text", "value"), [("colour = true", True), ("colour=false", False), ("no-colour = true", False)]
)
def test_a_flag_with_two_names(tmp_path: Path, text: str, value: bool) -> None:
    file = tmp_path / "config"
    file.write_text(text)
    assert parser().parse_args(["--config", str(file)]).colour is value
    assert parser().parse_args(["--config", str(file), "--colour"]).colour is True


def test_a_flag_can_be_off_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text('{"loud": false}')
    assert parser().parse_args(["--config", str(file)]).loud is False
    assert parser().parse_args(["--config", str(file), "--loud"]).loud is True


BROKEN: list[tuple[bytes, list[str]]] = [
    (b'{"port": "x"}', ["port", "invalid int value: 'x'"]),
    (b'{"port": null}', ["port", "invalid int value"]),
    (b'{"port": [1]}', ["port", "invalid int value"]),
    (b'{"port": {"a": 1}}', ["port", "invalid int value"]),
    (b'{"shade": 1}', ["shade", "there is no such option"]),
    (b'{"loud": 1}', ["loud", "must be true or false, not 1"]),
    (b'{"level": "loudest"}', ["level", "invalid choice: 'loudest'"]),
    (b'{"port": 1', ["not valid JSON", "line 1"]),
    (b"{" * 100_000, ["not valid JSON"]),
    (b'{"port": 1} {}', ["not valid JSON"]),
    (b'{"port": 1, "port": 2}', ["port", "given twice"]),
    (b'{"bind-ip": 1, "bind_ip": 2}', ["bind-ip", "given twice"]),
    (b"[1]", ["line 1", "not of the form key = value"]),
    (b"# ok\n\nport\n", ["line 3", "not of the form key = value"]),
    (b"= 1\n", ["line 1", "not of the form key = value"]),
    (b"port = x\n", ["port", "invalid int value: 'x'"]),
    (b"port = 1\nport = 2\n", ["port", "given twice"]),
    (b"loud = yes\n", ["loud", "must be true or false, not 'yes'"]),
    *(
        (name + b" = 1\n", [name.decode(), "there is no such option"])
        for name in (b"config", b"help", b"version", b"x")
    ),
    (b"port = 1\xff\n", ["not UTF-8"]),
    (b"\x1b[2J\xc2\x9b = 1\n", ["\\x1b[2J\\x9b", "there is no such option"]),
    (b"port = \x1b[2J\n", ["port", "'\\x1b[2J'"]),
]


@pytest.mark.parametrize(("text", "words"), BROKEN, ids=lambda value: repr(value)[:30])
def test_a_broken_config_file(tmp_path: Path, complaint: Complaint, text: bytes, words: list[str]) -> None:
    """File, key and reason are named."""
    file = tmp_path / "config"
    file.write_bytes(text)
    said = complaint(parser().parse_args, ["--config", str(file)], 2)
    assert said.startswith("prog: ")
    assert all(word in said for word in [f"{file}: ", *words, "try 'prog --help'"]), said


def test_a_config_file_that_cannot_be_read(tmp_path: Path, complaint: Complaint) -> None:
    for file, why in ((tmp_path, "Is a directory"), (tmp_path / "none", "No such file or directory")):
        assert complaint(parser().parse_args, ["--config", str(file)], 2).startswith(f"prog: {file}: {why}\n")


@pytest.mark.parametrize("arguments", [["--nonsense"], ["--port", "x"], ["--level", "loud"], ["--por", "1"], ["stray"]])
def test_a_wrong_command_line(complaint: Complaint, arguments: list[str]) -> None:
    assert "try 'prog --help'" in complaint(parser().parse_args, arguments, 2)
    complaint(parser(error_status=255).parse_args, arguments, 255)


def test_what_the_parser_could_not_see(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def said(message: str, *arguments: str) -> str:
        made = parser()
        made.parse_args(list(arguments))
        with pytest.raises(SystemExit) as caught:
            made.complain(message)
        assert caught.value.code == 1
        return capsys.readouterr().err

    file = tmp_path / "config"
    file.write_text("bind_ip = nowhere")
    assert said("no luck") == "prog: no luck\n"
    assert said("no luck: none", "--config", str(file)) == "prog: no luck: none\n"
    assert said("bind-ip: no such place") == "prog: bind-ip: no such place\n"
    assert said("bind-ip: no such place", "--bind-ip", "x") == "prog: bind-ip: no such place\n"
    assert said("bind-ip: no such place", "--config", str(file)) == f"prog: {file}: bind-ip: no such place\n"
    monkeypatch.setenv("MEDUSA_BIND_IP", "x")
    assert said("bind-ip: no such place", "--config", str(file)) == "prog: MEDUSA_BIND_IP: bind-ip: no such place\n"


@pytest.mark.parametrize("stderr", ["2>&-", "2>/dev/full"])
def test_a_complaint_where_stderr_takes_nothing(stderr: str) -> None:
    made = "from medusa.commands.options.parser import *; p = OptionParser('prog', 'x'); "
    made += "p.parse_args([]); p.complain('no luck')"
    command = ["sh", "-c", f'exec "$@" {stderr}', "sh", sys.executable, "-c", made]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    assert (done.returncode, done.stdout) == (1, b"prog: no luck\n")
