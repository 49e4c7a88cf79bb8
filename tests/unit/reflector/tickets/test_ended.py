from __future__ import annotations

from pathlib import Path

import pytest

from medusa.reflector.session_name import SessionName
from medusa.reflector.tickets import ended
from medusa.reflector.tickets.ended import MARKS_FILE, EndedHere, mark_of
from tests.waiting import Clock

MARKS = [mark_of(SessionName(f"s{number}"), "b" * 16) for number in range(9)]


@pytest.mark.parametrize("kept", [True, False])
def test_a_mark_is_there_until_it_expires(tmp_path: Path, kept: bool) -> None:
    clock = Clock(1000.0)
    marks = EndedHere(tmp_path if kept else None, clock)
    marks.add(MARKS[0], 1010)
    assert MARKS[0] in marks
    assert MARKS[1] not in marks
    assert (MARKS[0] in EndedHere(tmp_path, clock)) is kept
    clock.sleep(10)
    assert MARKS[0] not in marks


def test_workers_see_each_others_marks(tmp_path: Path) -> None:
    clock = Clock(1000.0)
    workers = [EndedHere(tmp_path, clock) for _ in range(3)]
    for worker, mark in zip(workers, MARKS[:3], strict=True):
        worker.add(mark, 2000)
    assert all(mark in worker for worker in workers for mark in MARKS[:3])
    assert (tmp_path / MARKS_FILE).stat().st_mode & 0o777 == 0o600


def test_the_file_forgets_what_has_expired_and_what_is_too_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ended, "MAX_MARKS", 4)
    clock = Clock(1000.0)
    marks, other = EndedHere(tmp_path, clock), EndedHere(tmp_path, clock)
    for number, mark in enumerate(MARKS[:4]):
        marks.add(mark, 1010 + number)
    clock.sleep(12)
    marks.add(MARKS[4], 2000)
    assert len((tmp_path / MARKS_FILE).read_text().splitlines()) <= 3
    for number, mark in enumerate(MARKS[5:]):
        other.add(mark, 2001 + number)
    fresh = EndedHere(tmp_path, clock)
    assert [mark in fresh for mark in MARKS] == [False] * 5 + [True] * 4


def test_a_line_that_was_not_written_whole_is_ignored(tmp_path: Path) -> None:
    (tmp_path / MARKS_FILE).write_bytes(b"2000 " + MARKS[0].encode() + b"\n20\xff\n2000 abc")
    marks = EndedHere(tmp_path, Clock(1000.0))
    assert MARKS[0] in marks


def test_a_mark_that_cannot_be_written_is_kept_in_memory(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    marks = EndedHere(folder, Clock(1000.0))
    folder.rmdir()
    marks.add(MARKS[0], 2000)
    assert MARKS[0] in marks


def test_a_file_that_was_written_anew_twice_is_read_from_its_beginning(tmp_path: Path) -> None:
    clock = Clock(1000.0)
    marks, other = EndedHere(tmp_path, clock), EndedHere(tmp_path, clock)
    for mark in MARKS[:6]:
        marks.add(mark, 1010)
    assert MARKS[0] in other
    for mark in MARKS[6:8]:  # the second file may get the inode of the first
        clock.sleep(11)
        marks.add(mark, int(clock()) + 10)
    assert MARKS[7] in other
