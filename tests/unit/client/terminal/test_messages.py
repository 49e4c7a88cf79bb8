from __future__ import annotations

import fcntl
import os
import re
import struct
import termios
import threading
from collections.abc import Callable, Iterator

import pytest

from medusa.client.terminal.messages import CLEAR_LINE, Messages, is_dumb
from tests.waiting import wait_until

Pipe = tuple[int, int]
Said = Callable[[], str]
TTY = tuple[int, Callable[[str], str]]


@pytest.fixture
def said(pipe: Pipe) -> Said:
    """What was said to the pipe since the last look."""
    os.set_blocking(pipe[0], False)

    def said() -> str:
        try:
            return os.read(pipe[0], 65536).decode()
        except BlockingIOError:
            return ""

    return said


@pytest.fixture
def tty() -> Iterator[TTY]:
    """A terminal to talk to, and what was said there, up to a certain end, a pattern: it comes in its own time."""
    master, slave = os.openpty()

    def said_until(end: str) -> str:
        text = ""
        while not re.search(end + r"\Z", text):
            text += os.read(master, 65536).decode()
        return text

    yield slave, said_until
    os.close(master)
    os.close(slave)


def test_every_line_says_who_speaks(pipe: Pipe, said: Said) -> None:
    messages = Messages(pipe[1])
    messages.say("hello")
    messages.error("two\nlines")
    assert said() == "mlogin: hello\nmlogin: two\nmlogin: lines\n"


def test_quiet_leaves_errors_and_answers(pipe: Pipe, said: Said) -> None:
    messages = Messages(pipe[1], quiet=True)
    messages.say("hello")
    messages.progress("waiting", 1)
    assert said() == ""
    messages.error("broken")
    messages.answer(["asked for"])
    assert said() == "mlogin: broken\nasked for\n"


def test_raw_lines_return_the_carriage(pipe: Pipe, said: Said) -> None:
    messages = Messages(pipe[1])
    messages.raw = True
    messages.answer(["one", "two"])
    assert said() == "one\r\ntwo\r\n"


def test_without_a_terminal_progress_is_a_line_for_each_change(pipe: Pipe, said: Said) -> None:
    messages = Messages(pipe[1])
    for text, elapsed in (("queued", 0.0), ("queued", 1.0), ("running", 2.0)):
        messages.progress(text, elapsed)
    assert said() == "mlogin: queued\nmlogin: running\n"
    assert not messages.animated


def test_on_a_terminal_it_spins_with_the_time_and_leaves_no_trace(tty: TTY) -> None:
    fd, said_until = tty
    messages = Messages(fd)
    assert messages.animated
    messages.progress("queued", 5)
    first = said_until(" queued 0:05")
    messages.progress("queued", 75)
    second = said_until(" queued 1:15")
    assert first.split()[0] != second.split()[0]
    messages.progress_done()
    messages.progress_done()
    messages.say("there")
    assert said_until("there\r\n") == "\r\x1b[Kmlogin: there\r\n"


def test_a_spinner_keeps_to_one_line(tty: TTY) -> None:
    fd, said_until = tty
    for columns, line in ((26, "waiting in a queue"), (25, "waiting in a q..."), (10, ".."), (5, "")):
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        messages = Messages(fd)
        messages.progress("waiting in a queue", 5)
        assert said_until(" 0:05") == f"\r\x1b[K/ {line} 0:05"


def test_without_escape_sequences_progress_is_a_line(tty: TTY) -> None:
    fd, said_until = tty
    messages = Messages(fd, dumb=True)
    messages.progress("queued", 0)
    messages.progress("queued", 1)
    messages.progress_done()
    messages.say("there")
    assert said_until("there\r\n") == "mlogin: queued\r\nmlogin: there\r\n"


@pytest.mark.parametrize(
    ("environ", "dumb"),
    [
        ({}, True),
        ({"TERM": ""}, True),
        ({"TERM": "dumb"}, True),
        ({"TERM": "unknown"}, True),
        ({"TERM": "vt100"}, False),
    ],
)
def test_terminals_without_escape_sequences(environ: dict[str, str], dumb: bool) -> None:
    assert is_dumb(environ) is dumb


def test_no_spinner_over_what_another_program_shows(tty: TTY, monkeypatch: pytest.MonkeyPatch) -> None:
    messages = Messages(tty[0])
    assert messages.animated
    monkeypatch.setattr("medusa.client.terminal.messages.in_foreground", lambda fd: False)
    assert not messages.animated
    monkeypatch.undo()
    modes = termios.tcgetattr(tty[0])
    modes[3] &= ~termios.ICANON
    termios.tcsetattr(tty[0], termios.TCSANOW, modes)
    assert not messages.animated


def test_what_is_said_waits_for_a_terminal_that_others_made_non_blocking(pipe: Pipe) -> None:
    os.set_blocking(pipe[1], False)
    text = "x" * 200_000
    thread = threading.Thread(target=Messages(pipe[1]).answer, args=([text],))
    thread.start()
    heard = b""
    while len(heard) <= len(text):
        heard += os.read(pipe[0], 65536)
    thread.join()
    assert heard.decode() == text + "\n"


def test_a_call_that_blocks(tty: TTY, pipe: Pipe, said: Said) -> None:
    with Messages(pipe[1]).waiting("quick"):
        pass
    assert said() == ""
    with Messages(pipe[1], progress_delay=0.0).waiting("slow"):
        assert wait_until(said) == "mlogin: slow\n"
    with Messages(tty[0], progress_delay=0.0).waiting("slow"):
        tty[1](r" slow 0:\d\d")
        tty[1](r" slow 0:\d\d")
    assert tty[1](re.escape(CLEAR_LINE)).endswith(CLEAR_LINE)


def test_what_is_said_does_not_run_into_what_was_shown(tty: TTY) -> None:
    fd, said_until = tty
    messages = Messages(fd)
    for data in (b"$ ", b"$ \n"):
        messages.shown(data)
        messages.answer(["help"])
        messages.answer(["more"])
    assert said_until("more\r\nhelp\r\nmore\r\n") == "\r\nhelp\r\nmore\r\nhelp\r\nmore\r\n"


def test_elsewhere_it_cannot(pipe: Pipe, said: Said) -> None:
    messages = Messages(pipe[1])
    messages.shown(b"$ ")
    messages.say("hello")
    assert said() == "mlogin: hello\n"


def test_stderr_that_is_gone_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    Messages(writer).error("nobody hears")
    os.close(writer)


def test_a_line_is_drawn_again_in_its_place(tty: TTY) -> None:
    messages = Messages(tty[0])
    messages.raw = True
    messages.shown(b"$ ")
    assert messages.redraw("0:01")
    assert messages.redraw("0:02")
    messages.error("back")
    line = re.escape(CLEAR_LINE)
    tty[1](f"\r+\n{line}mlogin: 0:01{line}mlogin: 0:02{line}mlogin: back\r+\n")


def test_no_line_is_drawn_again_where_that_cannot_be(pipe: Pipe, said: Said, tty: TTY) -> None:
    assert not Messages(pipe[1]).redraw("0:01")
    assert not Messages(tty[0], dumb=True).redraw("0:01")
    assert said() == ""
