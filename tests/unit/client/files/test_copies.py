"""Copies to and from the agent's own SFTP server, in one process and without a link."""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.sftp.server import Server
from medusa.client.files import download, report, upload
from medusa.client.files.download import Downloads
from medusa.client.files.jobs import Jobs
from medusa.client.files.report import Report, Wish, part_of
from medusa.client.files.sftp import Sftp
from medusa.client.files.upload import Uploads
from medusa.protocol.sftp import packets as p
from medusa.protocol.sftp.attributes import NONE, Attributes
from medusa.protocol.sftp.packets import BadPacket, Cutter, packet, text

OLD = 1_000_000_000


class Bench:
    """A client and a server, joined without a link.

    Attributes:
        change: gets each request, and returns the answer to it in place of the server's; None for the server's.
    """

    def __init__(self) -> None:
        self.server, self.sftp = Server(), Sftp()
        self.jobs, self.told = Jobs(self.sftp), list[str]()
        self.report = Report(self.told.append)
        self.change: Callable[[memoryview], bytes | None] = lambda request: None
        self.work(self.sftp.begin())

    def work(self, *jobs: Any) -> None:
        self.jobs.add(jobs)
        self.jobs.begin()
        while not self.jobs.over or self.sftp.queued:
            requests = Cutter().cut(self.sftp.take())
            assert requests, "the work waits for nothing"
            answers = [self.change(request) or self.server.answer(request) for request in requests]
            self.jobs.answered(self.sftp.feed(b"".join(answers)))

    def copy(self, kind: type[Uploads] | type[Downloads], source: Path | str, target: Path | str, **wish: bool) -> None:
        way = kind(self.sftp, self.jobs, Wish(**wish), self.report)
        self.work(way.named(os.fsencode(source), os.fsencode(target)))
        self.work(*way.finish())


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.chdir(tmp_path)
    for module in (report, upload, download):
        monkeypatch.setattr(module, "PART_ABOVE", 1 << 20)
    return Bench()


def make_tree(root: Path) -> None:
    (root / "sub" / "deep").mkdir(parents=True)
    (root / "empty").touch()
    (root / "a").write_bytes(b"a\0\xff" * 300_000)
    (root / "a").chmod(0o640)
    (root / "sub" / "large").write_bytes(os.urandom(3 << 20))
    (root / os.fsdecode(b"n\xff\n")).write_text("name")
    (root / "link").symlink_to("a")
    (root / "dangling").symlink_to("/nowhere")
    for path in (root / "a", root / "sub" / "deep"):
        os.utime(path, (OLD, OLD))


def contents(root: Path) -> dict[str, object]:
    """What a directory holds: names, links, contents of files."""
    found: dict[str, object] = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        found[name] = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None
    return found


@pytest.mark.parametrize("kind", [Uploads, Downloads])
@pytest.mark.parametrize("twice", [False, True])
def test_tree(bench: Bench, kind: type[Uploads] | type[Downloads], *, twice: bool) -> None:
    make_tree(Path("src"))
    for _ in range(1 + twice):
        bench.copy(kind, "src", "dst", recursive=True, preserve=True)
    assert bench.told == []
    assert contents(Path("dst")) == contents(Path("src"))
    assert int(Path("dst/sub/deep").stat().st_mtime) == int(Path("dst/a").stat().st_mtime) == OLD
    assert stat.S_IMODE(Path("dst/a").stat().st_mode) == 0o640
    assert bench.report.done == bench.report.total


@pytest.mark.parametrize("kind", [Uploads, Downloads])
def test_links_are_followed_if_asked(bench: Bench, kind: type[Uploads] | type[Downloads]) -> None:
    Path("src").mkdir()
    Path("src/a").write_text("a")
    Path("src/link").symlink_to("a")
    Path("src/back").symlink_to(".")
    bench.copy(kind, "src", "dst", recursive=True, follow=True)
    assert not Path("dst/link").is_symlink()
    assert Path("dst/link").read_text() == "a"
    assert bench.told
    assert all("Too many levels of symbolic links" in line or "No such file" in line for line in bench.told)


@pytest.mark.parametrize("kind", [Uploads, Downloads])
def test_part_of_a_copy_that_was_cut_off(bench: Bench, kind: type[Uploads] | type[Downloads]) -> None:
    data = os.urandom(3 << 20)
    Path("src").write_bytes(data)
    found = os.stat("src")
    part = Path(os.fsdecode(part_of(b"dst", found.st_size, found.st_mtime)))
    part.write_bytes(b"x" * 1000 + data[1000:2_000_000])
    bench.copy(kind, "src", "dst")
    assert Path("dst").read_bytes() == b"x" * 1000 + data[1000:]  # so nothing before the end of the part was copied
    assert bench.told == ["src: goes on after 2000000 bytes that were copied before"]
    assert not part.exists()
    Path("src").write_bytes(data + b"1")
    part.write_bytes(b"the part of another version")
    bench.copy(kind, "src", "dst")
    assert Path("dst").read_bytes() == data + b"1"


@pytest.mark.parametrize("kind", [Uploads, Downloads])
def test_resume_leaves_out_what_is_there(bench: Bench, kind: type[Uploads] | type[Downloads]) -> None:
    make_tree(Path("src"))
    bench.copy(kind, "src", "dst", recursive=True)
    before = bench.report.done
    Path("dst/a").write_text("shorter")
    bench.copy(kind, "src", "dst", recursive=True, resume=True)
    assert bench.report.done - before == Path("src/a").stat().st_size
    assert contents(Path("dst")) == contents(Path("src"))


def test_errors_name_the_file_and_others_are_copied(bench: Bench) -> None:
    make_tree(Path("src"))
    os.mkfifo("src/fifo")
    Path("dst/a").mkdir(parents=True)
    bench.copy(Uploads, "src", "dst", recursive=True)
    bench.copy(Uploads, "src", "other")
    bench.copy(Downloads, "nothing", "x")
    bench.copy(Downloads, "src/empty", "no/x")
    assert sorted(bench.told) == [
        "dst/a: Is a directory",
        "no/x: No such file or directory",
        "nothing: No such file or directory",
        "src/fifo: not a file, a directory or a link",
        "src: is a directory; -r copies directories",
    ]
    assert Path("dst/sub/large").read_bytes() == Path("src/sub/large").read_bytes()
    assert bench.report.failures == 5


def test_full_disk_is_told_though_the_server_says_failure_only(bench: Bench) -> None:
    def full(request: memoryview) -> bytes | None:
        number = struct.unpack_from(">I", request, 1)[0]
        if request[0] == p.WRITE:
            return packet(p.STATUS, number, struct.pack(">I", p.FAILURE) + text(b"Failure") + text(b""))
        if request[0] == p.EXTENDED:
            return packet(p.EXTENDED_REPLY, number, bytes(88))
        return None

    bench.change = full
    Path("a").write_text("a")
    bench.copy(Uploads, "a", "b")
    assert bench.told == ["b: No space left on device"]


def test_file_that_grows_and_file_without_a_size(bench: Bench) -> None:
    Path("a").write_bytes(b"1" * 10)

    def grown(request: memoryview) -> bytes | None:
        if request[0] == p.READ:
            Path("a").write_bytes(b"2" * 1_000_000)
        return None

    bench.change = grown
    bench.copy(Downloads, "a", "b")
    assert Path("b").read_bytes() == b"2" * 1_000_000
    bench.copy(Downloads, "/proc/self/status", "c")
    assert Path("c").read_text().startswith("Name:")


@pytest.mark.parametrize("name", [b"../x", b"/x", b"", b"a\0"])
def test_names_that_lead_out_of_the_copy(bench: Bench, name: bytes) -> None:
    def evil(request: memoryview) -> bytes | None:
        number = struct.unpack_from(">I", request, 1)[0]
        entry = text(name) + text(b"") + Attributes(mode=0o100644, size=1).build()
        return packet(p.NAME, number, struct.pack(">I", 1) + entry) if request[0] == p.READDIR else None

    Path("src").mkdir()
    bench.change = evil
    bench.copy(Downloads, "src", "dst", recursive=True)
    assert bench.told == ["src: the SFTP server has sent a name that no file can have"]
    assert os.listdir() == ["src"]


def test_a_job_makes_no_program_for_others(bench: Bench) -> None:
    Path("a").touch()
    Path("a").chmod(0o4755)
    bench.copy(Downloads, "a", "b", preserve=True)
    assert stat.S_IMODE(Path("b").stat().st_mode) == 0o755


def test_nothing_is_written_through_a_link_that_the_job_has_made(bench: Bench) -> None:
    Path("mine").write_text("mine")
    Path("src").mkdir()
    Path("src/a").symlink_to("../mine")
    bench.copy(Downloads, "src", "dst", recursive=True)
    Path("src/a").unlink()
    Path("src/a").write_text("evil")
    bench.copy(Downloads, "src", "dst", recursive=True)
    assert Path("mine").read_text() == "mine"
    assert Path("dst/a").read_text() == "evil"


def test_answer_to_no_request() -> None:
    with pytest.raises(BadPacket):
        Sftp().feed(packet(p.ATTRS, 77, NONE))
