"""The screen of a client that attaches to a terminal: it is what the program would show if it had started there."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.emulators import Emulator
from tests.streamclients import PTY, Run
from tests.streamlegs import Legs, one_agent
from tests.waiting import PATIENCE, Deadline

NEW = {"columns": 60, "lines": 10, "term": "screen"}
TEXT = "".join(f"{number} line é漢字😀\n" for number in range(1, 101))


@pytest.fixture(scope="module")
def legs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Legs]:
    """One agent for all tests of this module."""
    with one_agent(tmp_path_factory.mktemp("agent"), LC_ALL="C.UTF-8", TERM="screen") as legs:
        yield legs


class Screen:
    """A run in an emulator of its own."""

    def __init__(self, run: Run, emulator: Emulator) -> None:
        self.run, self.emulator = run, emulator

    def until(self, condition: Callable[[list[str]], object]) -> list[str]:
        """Waits until the lines of the screen are right. Returns them."""
        deadline = Deadline(PATIENCE)
        while not condition(found := self.emulator.screen()):
            assert deadline.left, "on the screen:\n" + "\n".join(found)
            self.run.client.step(0.05)
            self.emulator.feed(self.run.output[1])
            self.run.output[1] = b""
        return found


@pytest.fixture
def screen_of(legs: Legs, tmp_path: Path) -> Iterator[Callable[..., Screen]]:
    """A function that runs a command, or attaches to the last terminal if there is none."""
    with contextlib.ExitStack() as stack:

        def start(command: str = "", **pty: object) -> Screen:
            client = stack.enter_context(legs.stream())
            size: dict[str, Any] = {**PTY, "lines": 24, "term": "screen", **pty}
            run = client.run(command, pty=size, login=False) if command else client.attach(pty=size)
            emulator = Emulator(tmp_path / str(size["columns"]), size["columns"], size["lines"])
            stack.callback(emulator.close)
            return Screen(run, emulator)

        yield start


def moved(screen: Screen, screen_of: Callable[..., Screen]) -> Screen:
    """Detaches, and attaches at another size."""
    screen.run.detach()
    return screen_of(**NEW)


@pytest.mark.parametrize(("editor", "keys"), [("vi -u NONE -N +50", b"ix"), ("less -j1 +50", b"")])
def test_full_screen_programs_fill_the_screen(
    editor: str, keys: bytes, tmp_path: Path, screen_of: Callable[..., Screen]
) -> None:
    (tmp_path / "text").write_text(TEXT)
    screen = screen_of(f"exec {editor} {tmp_path}/text")
    screen.until(lambda lines: any("50 line" in line for line in lines) and len(lines) == 24)
    screen.run.give(keys)
    screen.until(lambda lines: any(line == f"{'x' if keys else ''}50 line é漢字😀" for line in lines))
    again = moved(screen, screen_of)
    rows = TEXT.replace("\n50 ", "\nx50 ") if keys else TEXT
    again.until(lambda lines: len(lines) == 10 and lines[1] and "\n".join(lines[:9]) + "\n" in rows)
    assert again.emulator.state("alternate_on") == ["1"]
    again.run.channel.request("signal", name="KILL")
    again.run.outcome()


def test_a_line_that_is_half_typed_is_there_and_can_be_finished(screen_of: Callable[..., Screen]) -> None:
    screen = screen_of("PS1='job> ' exec bash --norc --noprofile -i")
    screen.until(lambda lines: lines == ["job>"])
    screen.run.give("printf 'é漢字😀\\n'\necho half".encode())
    shown = ["job> printf 'é漢字😀\\n'", "é漢字😀", "job> echo half"]
    screen.until(lambda lines: lines == shown)
    again = moved(screen, screen_of)
    again.until(lambda lines: lines == shown)
    again.run.give(b" done; stty size\n")
    again.until(lambda lines: lines == [*shown[:2], "job> echo half done; stty size", "half done", "10 60", "job>"])
    again.run.give(b"exit\n")
    assert again.run.outcome() == {"status": 0}
