from __future__ import annotations

import io
import json
import os
import socket
import unicodedata
from collections.abc import Iterator

import pytest
import structlog

from medusa.commands import logs

EVIL = "\x1b[2J\u009b31m\u202e\r\nforged=1\u2028\x00\x7f"


@pytest.fixture(autouse=True)
def default_logging() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def test_json_has_bunyans_fields(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("json", "info")
    structlog.get_logger(component="test").warning("something", count=1)
    entry = json.loads(capsys.readouterr().err)
    assert entry.pop("time").endswith("Z")
    assert entry == {
        "name": "medusa",
        "hostname": socket.gethostname(),
        "pid": os.getpid(),
        "level": 40,
        "msg": "something",
        "component": "test",
        "count": 1,
        "v": 0,
    }


@pytest.mark.parametrize("level", logs.LEVELS)
def test_less_than_the_level_is_left_out(level: str, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("json", level)
    for name in logs.LEVELS:
        getattr(structlog.get_logger(), name)("x")
    levels = [json.loads(line)["level"] for line in capsys.readouterr().err.splitlines()]
    assert levels == [logs.BUNYAN_LEVELS[name] for name in logs.LEVELS[logs.LEVELS.index(level) :]]


@pytest.mark.parametrize("log_format", logs.FORMATS)
def test_one_line_an_event_whatever_is_in_it(log_format: str, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(log_format, "info")
    structlog.get_logger().info("request", path=EVIL, count=3, nothing=None)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.endswith("\n")
    assert err.count("\n") == 1
    assert all(unicodedata.category(c)[0] in "LMNPS" for c in err[:-1] if c != " ")
    assert "forged=1" in err


@pytest.mark.parametrize("log_format", logs.FORMATS)
def test_an_exception_comes_with_its_traceback(log_format: str, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(log_format, "info")
    try:
        raise ZeroDivisionError("of the test")
    except ZeroDivisionError:
        structlog.get_logger().exception("failed")
    err = capsys.readouterr().err
    assert "ZeroDivisionError: of the test" in err
    assert "test_logs.py" in err
    if log_format == "json":
        assert json.loads(err)["level"] == 50


class Broken(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


@pytest.mark.parametrize("log_format", logs.FORMATS)
def test_a_log_that_nobody_takes_is_no_error(log_format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", Broken())
    logs.configure(log_format, "info")
    for name in logs.LEVELS:
        getattr(structlog.get_logger(), name)("lost")
