from __future__ import annotations

import os
import struct
import subprocess
from pathlib import Path

from medusa.process_table import Process, controlled_by, own_children, processes
from tests.threaded import without_first_thread


def found(pid: int) -> Process:
    return next(process for process in processes() or () if process.pid == pid)


def test_own_process_is_in_it() -> None:
    assert found(os.getpid()) == Process(os.getpid(), os.getppid(), os.getpgrp(), os.getsid(0))


def test_zombie_is_not_alive() -> None:
    child = subprocess.Popen(["true"], start_new_session=True)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert found(child.pid) == Process(child.pid, os.getpid(), child.pid, child.pid, alive=False)
    child.wait()


def test_process_without_its_first_thread_is_alive() -> None:
    with without_first_thread() as process:
        assert found(process.pid).alive


def test_no_proc_and_a_proc_without_this_process_give_none(tmp_path: Path) -> None:
    assert processes(str(tmp_path / "none")) is None
    assert processes(str(tmp_path)) is None


def test_names_of_processes_cannot_confuse(tmp_path: Path) -> None:
    rest = "0 -1 4194304 0 0 0 0 0 0 0 0 20 0 1 0"
    stats = {os.getpid(): "(me) S", 41: "(a) S 1 1 7 () S", 42: "(b\n) Z) S", 43: "(z) Z"}
    for pid, stat in stats.items():
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "stat").write_text(f"{pid} {stat} 1 2 9 {rest}")
    (tmp_path / "44").mkdir()
    (tmp_path / "self").mkdir()
    expected = {Process(pid, 1, 2, 9, pid != 43) for pid in stats}
    assert set(processes(str(tmp_path)) or ()) == expected


def test_processes_of_a_terminal(tmp_path: Path) -> None:
    for pid, stat in ((7, "(a) S 1 7 7 34818 9"), (8, "(b) Z 1 8 8 0 -1"), (9, "(c) S 7 9 7 34818 9"), (10, "torn")):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "stat").write_text(f"{pid} {stat}")
    assert controlled_by(os.makedev(136, 2), str(tmp_path)) == {7: 9, 9: 9}
    for name, mounts in (("self", "here"), ("7", "there"), ("9", "here")):
        (tmp_path / name / "ns").mkdir(parents=True)
        (tmp_path / name / "ns" / "mnt").symlink_to(mounts)
    assert controlled_by(os.makedev(136, 2), str(tmp_path)) == {9: 9}  # 7 is in another container
    assert controlled_by(0, str(tmp_path)) == {}


def test_psinfo_of_illumos(tmp_path: Path) -> None:
    for pid, threads in ((os.getpid(), 1), (7, 2), (8, 0)):
        (tmp_path / str(pid)).mkdir()
        psinfo = struct.pack("6i", 0, threads, pid, 1, 3, 9) + b"\0" * 100
        (tmp_path / str(pid) / "psinfo").write_bytes(psinfo)
    expected = {Process(os.getpid(), 1, 3, 9), Process(7, 1, 3, 9), Process(8, 1, 3, 9, alive=False)}
    assert set(processes(str(tmp_path)) or ()) == expected


def test_own_children() -> None:
    before = own_children()
    assert before is not None
    with subprocess.Popen(["true"]) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # a zombie counts
        assert own_children() == before | {child.pid}
    assert own_children() == before
