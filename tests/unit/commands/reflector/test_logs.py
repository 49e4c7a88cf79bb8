from __future__ import annotations

import json
import os
import socket
import unicodedata
from collections.abc import Iterator

import pytest
import structlog

from medusa.commands.reflector import logs
from medusa.commands.reflector.command import LOG_FORMATS, LOG_LEVELS

EVIL = "\x1b[2J\u009b31m\u202e\r\nforged=1\u2028\x00\x7f"


@pytest.fixture(autouse=True)
def default_logging() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def test_json_has_bunyans_fields(capfd: pytest.CaptureFixture[str]) -> None:
    logs.configure("json", "info")
    structlog.get_logger(component="test").warning("something", count=1, name="x")
    entry = json.loads(capfd.readouterr().err)
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


def test_fields_of_every_line(capfd: pytest.CaptureFixture[str]) -> None:
    logs.configure("json", "info", context={"worker": 3})
    structlog.get_logger().info("x")
    structlog.get_logger().info("y", worker=1)
    assert [json.loads(line)["worker"] for line in capfd.readouterr().err.splitlines()] == [3, 1]


@pytest.mark.parametrize("level", LOG_LEVELS)
def test_less_than_the_level_is_left_out(level: str, capfd: pytest.CaptureFixture[str]) -> None:
    logs.configure("json", level)
    for name in LOG_LEVELS:
        getattr(structlog.get_logger(), name)("x")
    levels = [json.loads(line)["level"] for line in capfd.readouterr().err.splitlines()]
    assert levels == [logs.BUNYAN_LEVELS[name] for name in LOG_LEVELS[LOG_LEVELS.index(level) :]]


@pytest.mark.parametrize("log_format", LOG_FORMATS)
def test_one_line_an_event_whatever_is_in_it(log_format: str, capfd: pytest.CaptureFixture[str]) -> None:
    logs.configure(log_format, "info")
    structlog.get_logger().info("request", path=EVIL, count=3, nothing=None)
    out, err = capfd.readouterr()
    assert out == ""
    assert err.endswith("\n")
    assert err.count("\n") == 1
    assert all(unicodedata.category(c)[0] in "LMNPS" for c in err[:-1] if c != " ")
    assert "forged=1" in err


@pytest.mark.parametrize("log_format", LOG_FORMATS)
def test_an_exception_comes_with_its_traceback(log_format: str, capfd: pytest.CaptureFixture[str]) -> None:
    logs.configure(log_format, "info")
    try:
        raise ZeroDivisionError("of the test")
    except ZeroDivisionError:
        structlog.get_logger().exception("failed")
    err = capfd.readouterr().err
    assert "ZeroDivisionError: of the test" in err
    assert "test_logs.py" in err
    if log_format == "json":
        assert json.loads(err)["level"] == 50


@pytest.mark.parametrize("log_format", LOG_FORMATS)
def test_a_log_that_nobody_takes_is_no_error(log_format: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    logs.configure(log_format, "info", writer)
    for name in LOG_LEVELS:
        getattr(structlog.get_logger(), name)("lost")
    os.close(writer)


def test_a_log_that_nobody_reads_stops_nothing_and_says_what_was_lost() -> None:
    reader, writer = os.pipe()
    logs.configure("json", "info", writer)
    with open(reader, "rb") as lines:
        for number in range(1000):
            structlog.get_logger().info("x" * 1000, number=number)
        written = os.read(reader, 1 << 20).splitlines()
        structlog.get_logger().info("again")
        os.close(writer)
        first, second = map(json.loads, lines)
    assert all(json.loads(line)["number"] == number for number, line in enumerate(written))
    assert (first["msg"], first["count"]) == ("log lines lost", 1000 - len(written))
    assert second["msg"] == "again"


def test_a_line_that_was_cut_off_spoils_no_other() -> None:
    reader, writer = os.pipe()
    logs.configure("json", "info", writer)
    with open(reader, "rb") as lines:
        structlog.get_logger().info("x" * (1 << 20))
        os.read(reader, 1 << 20)
        structlog.get_logger().info("again")
        os.close(writer)
        rest, first, second = lines
    assert rest == b"\n"
    assert json.loads(first)["msg"] == "log lines lost"
    assert json.loads(second)["msg"] == "again"


def test_a_terminal_that_shows_nothing_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    master, slave = os.openpty()
    own = logs._unblocking(slave)
    monkeypatch.setattr(logs, "_unblocking", lambda _: own)
    logs.configure("json", "info", slave)
    for _ in range(1000):
        structlog.get_logger().info("x" * 1000)
    assert os.get_blocking(slave), "others share it"
    assert not os.get_blocking(own)
    assert b"xxx" in os.read(master, 1 << 16)
    for fd in (own, slave, master):
        os.close(fd)
