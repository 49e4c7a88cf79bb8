from __future__ import annotations

import os
import subprocess
import termios
from collections.abc import Iterator
from typing import Any

import pytest

from medusa.protocol.terminal.modes import CHARACTERS, FLAGS, decode, encode, from_termios, to_termios

ERASE, IUTF8, ISPEED = 3, 42, 128


@pytest.fixture
def terminal() -> Iterator[int]:
    master, slave = os.openpty()
    yield slave
    os.close(master)
    os.close(slave)


def changed(modes: dict[int, int], fd: int) -> list[Any]:
    return to_termios(modes, termios.tcgetattr(fd), os.fpathconf(fd, "PC_VDISABLE"))


def test_the_example_of_the_documentation() -> None:
    assert encode({ERASE: 8, IUTF8: 1}) == "03000000082a0000000100"
    assert decode("03000000082a0000000100") == {ERASE: 8, IUTF8: 1}


@pytest.mark.parametrize(
    ("text", "modes"),
    [
        ("", {}),
        ("00", {}),
        ("0300000008", {ERASE: 8}),
        ("03000000", {}),
        ("0000000000" + "0300000008", {}),  # the end comes first
        ("a000000001" + "0300000008", {}),  # an opcode that has no value
        ("0300000008" + "63ffffffff" + "0300000009", {ERASE: 9, 0x63: 0xFFFFFFFF}),
    ],
)
def test_what_is_read(text: str, modes: dict[int, int]) -> None:
    assert decode(text) == modes


def test_a_long_text_is_not_read_to_its_end() -> None:
    assert decode("0300000008" * 256 + "2a00000001") == {ERASE: 8}


@pytest.mark.parametrize(
    "words",
    [
        "erase ^H",
        "intr ^X quit undef susp undef werase ^F kill ^Y eof ^E start ^B stop ^N lnext ^P",
        "iutf8 -ixon ixany ixoff -icrnl inlcr igncr istrip inpck parmrk ignpar -imaxbel iuclc",
        "-echo -echoe -echok -echonl -icanon -isig -iexten noflsh tostop -echoctl -echoke xcase",
        "-opost -onlcr ocrnl onocr onlret olcuc",
        "raw",
        "iutf8 9600",
        "ispeed 115200 ospeed 115200",
    ],
)
def test_another_terminal_becomes_alike(terminal: int, words: str) -> None:
    subprocess.run(["stty", *words.split()], stdin=terminal, check=True)
    theirs = termios.tcgetattr(terminal)
    modes = from_termios(theirs, os.fpathconf(terminal, "PC_VDISABLE"))
    master, slave = os.openpty()
    try:
        termios.tcsetattr(slave, termios.TCSANOW, changed(decode(encode(modes)), slave))
        mine = termios.tcgetattr(slave)
    finally:
        os.close(master)
        os.close(slave)
    for attributes in (mine, theirs):  # VMIN and VTIME are no modes of RFC 4254
        attributes[6][termios.VMIN] = attributes[6][termios.VTIME] = 0
    assert mine == theirs


@pytest.mark.parametrize(
    "modes",
    [{ERASE: 256}, {ERASE: 1 << 31}, {ISPEED: 0}, {ISPEED: 12345}, {19: 1}, {159: 1}, {90: 0}, {91: 0}],
    ids=repr,
)
def test_what_is_impossible_changes_nothing(terminal: int, modes: dict[int, int]) -> None:
    assert changed(modes, terminal) == termios.tcgetattr(terminal)


@pytest.mark.parametrize("value", [0, 1, 255, 0xFFFFFFFF])
def test_any_values_are_accepted(terminal: int, value: int) -> None:
    modes = dict.fromkeys([*CHARACTERS, *(opcode for names in FLAGS for opcode in names), *range(100, 160)], value)
    termios.tcsetattr(terminal, termios.TCSANOW, changed(modes, terminal))
