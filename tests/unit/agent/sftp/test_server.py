"""The agent's own SFTP server, request by request."""

from __future__ import annotations

import errno
import os
import stat
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.sftp import handles, requests
from agent.sftp.server import Server
from medusa.protocol.sftp import packets as p
from medusa.protocol.sftp.attributes import NONE, Attributes
from medusa.protocol.sftp.packets import BadPacket, Fields, packet, text

OWN_MODE = Attributes(mode=0o640).build()


class Client:
    """Sends requests to a server, and takes its answers apart."""

    def __init__(self) -> None:
        self.server = Server()

    def ask(self, kind: int, *fields: bytes) -> tuple[int, Fields]:
        """The type of the answer, and what follows the number of the request."""
        data = self.server.answer(memoryview(packet(kind, 7, b"".join(fields)))[4:])
        size, answer, number = p.HEAD.unpack_from(data)
        assert (size, number) == (len(data) - 4, 7)
        return answer, Fields(memoryview(data), p.HEAD.size)

    def status(self, kind: int, *fields: bytes) -> tuple[int, str]:
        answer, found = self.ask(kind, *fields)
        assert answer == p.STATUS
        return found.number(), found.text().decode()

    def handle(self, path: bytes, flags: int = p.FOR_READING, attributes: bytes = NONE) -> bytes:
        answer, found = self.ask(p.OPEN, text(path), struct.pack(">I", flags), attributes)
        assert answer == p.HANDLE, found.number()
        return text(found.text())

    def attributes(self, kind: int, *fields: bytes) -> Attributes:
        answer, found = self.ask(kind, *fields)
        assert answer == p.ATTRS
        return Attributes.read(found)

    def names(self, kind: int, *fields: bytes) -> list[tuple[bytes, bytes, Attributes]]:
        answer, found = self.ask(kind, *fields)
        if answer == p.STATUS:
            assert found.number() == p.EOF
            return []
        assert answer == p.NAME
        return [(found.text(), found.text(), Attributes.read(found)) for _ in range(found.number())]


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    monkeypatch.chdir(tmp_path)
    client = Client()
    yield client
    for number in range(1, 10):
        client.ask(p.CLOSE, text(b"%x" % number))


def test_write_and_read(client: Client) -> None:
    file = client.handle(b"f\xff", p.FOR_WRITING | p.CREATE | p.TRUNCATE | p.EXCLUSIVE, OWN_MODE)
    assert client.status(p.WRITE, file, struct.pack(">Q", 3), text(b"abc"))[0] == p.OK
    assert client.status(p.EXTENDED, text(p.FSYNC), file)[0] == p.OK
    assert client.status(p.CLOSE, file)[0] == p.OK
    assert Path(os.fsdecode(b"f\xff")).read_bytes() == b"\0\0\0abc"
    file = client.handle(b"f\xff")
    answer, found = client.ask(p.READ, file, struct.pack(">QI", 2, 1 << 31))
    assert (answer, found.text()) == (p.DATA, b"\0abc")
    assert client.status(p.READ, file, struct.pack(">QI", 6, 10))[0] == p.EOF
    found_of_it = client.attributes(p.FSTAT, file)
    assert (found_of_it.size, stat.S_IMODE(found_of_it.mode or 0)) == (6, 0o640 & ~_umask())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_appended(client: Client) -> None:
    Path("f").write_text("abc")
    file = client.handle(b"f", p.FOR_WRITING | p.APPEND)
    assert client.status(p.WRITE, file, struct.pack(">Q", 0), text(b"def"))[0] == p.OK
    assert Path("f").read_text() == "abcdef"


def test_large_reads_are_cut(client: Client) -> None:
    Path("f").write_bytes(bytes(2 * p.MAX_PACKET))
    answer, found = client.ask(p.READ, client.handle(b"f"), struct.pack(">QI", 0, (1 << 32) - 1))
    assert (answer, len(found.text())) == (p.DATA, p.MAX_DATA)


def test_times_that_the_protocol_does_not_have(client: Client) -> None:
    os.utime(".", (-5, 1 << 40))
    assert client.attributes(p.STAT, text(b".")).times == (0, (1 << 32) - 1)


@pytest.mark.parametrize("request_type", [p.READ, p.WRITE])
@pytest.mark.parametrize("offset", [1 << 63, (1 << 64) - 1])
def test_offsets_that_no_file_has(client: Client, request_type: int, offset: int) -> None:
    Path("f").touch()
    file = client.handle(b"f", p.FOR_READING | p.FOR_WRITING)
    last = struct.pack(">I", 1) if request_type == p.READ else text(b"a")
    assert client.status(request_type, file, struct.pack(">Q", offset), last)[0] == p.FAILURE


def test_attributes_are_set(client: Client) -> None:
    Path("f").write_text("abc")
    wanted = Attributes(size=1, mode=0o600, times=(5, 6)).build()
    assert client.status(p.SETSTAT, text(b"f"), wanted)[0] == p.OK
    found = client.attributes(p.STAT, text(b"f"))
    assert (found.size, found.times, stat.S_IMODE(found.mode or 0)) == (1, (5, 6), 0o600)
    file = client.handle(b"f", p.FOR_WRITING)
    wanted = Attributes(size=2, owner=(os.getuid(), os.getgid()), mode=0o644, times=(7, 8)).build()
    assert client.status(p.FSETSTAT, file, wanted)[0] == p.OK
    found = client.attributes(p.FSTAT, file)
    assert (found.size, found.owner, found.times) == (2, (os.getuid(), os.getgid()), (7, 8))


def test_links(client: Client) -> None:
    Path("f").touch()
    assert client.status(p.SYMLINK, text(b"f"), text(b"l"))[0] == p.OK
    assert client.names(p.READLINK, text(b"l"))[0][0] == b"f"
    assert stat.S_ISLNK(client.attributes(p.LSTAT, text(b"l")).mode or 0)
    assert stat.S_ISREG(client.attributes(p.STAT, text(b"l")).mode or 0)
    assert client.status(p.EXTENDED, text(p.LSETSTAT), text(b"l"), Attributes(times=(1, 2)).build())[0] == p.OK
    assert client.attributes(p.LSTAT, text(b"l")).times == (1, 2)
    assert client.status(p.EXTENDED, text(p.HARDLINK), text(b"f"), text(b"h"))[0] == p.OK
    assert Path("h").stat().st_nlink == 2
    assert client.status(p.SYMLINK, text(b"loop"), text(b"loop"))[0] == p.OK
    assert client.status(p.STAT, text(b"loop"))[0] == p.NO_SUCH_FILE
    assert client.names(p.REALPATH, text(b"loop/x"))


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_rename_replaces_nothing(client: Client, kind: str) -> None:
    for name in ("a", "b"):
        Path(name).touch() if kind == "file" else Path(name).mkdir()
    assert client.status(p.RENAME, text(b"a"), text(b"b")) == (p.FAILURE, os.strerror(errno.EEXIST))
    assert client.status(p.RENAME, text(b"a"), text(b"c"))[0] == p.OK
    assert client.status(p.EXTENDED, text(p.POSIX_RENAME), text(b"c"), text(b"b"))[0] == p.OK
    assert os.listdir() == ["b"]


def test_directories(client: Client) -> None:
    assert client.status(p.MKDIR, text(b"d"), Attributes(mode=0o700).build())[0] == p.OK
    for number in range(requests.NAMES + 50):
        Path("d", str(number)).touch()
    Path("d", os.fsdecode(b"\xff\n")).symlink_to("nowhere")
    handle = client.ask(p.OPENDIR, text(b"d"))[1].text()
    first, second = (client.names(p.READDIR, text(handle)) for _ in range(2))
    assert not client.names(p.READDIR, text(handle))
    assert len(first) == requests.NAMES
    found = {name: (line, attributes) for name, line, attributes in first + second}
    assert {*found} == {b".", b"..", *map(os.fsencode, os.listdir("d"))}
    assert found[b"\xff\n"][0].startswith(b"lrwxrwxrwx   1 ")
    assert found[b"1"][0].endswith(b" 1")
    assert client.status(p.RMDIR, text(b"d"))[0] == p.FAILURE
    assert client.status(p.REMOVE, text(b"d"))[0] in (p.FAILURE, p.PERMISSION_DENIED)


def test_file_systems_and_limits(client: Client, tmp_path: Path) -> None:
    answer, found = client.ask(p.EXTENDED, text(p.STATVFS), text(b"."))
    assert (answer, found.long()) == (p.EXTENDED_REPLY, os.statvfs(".").f_bsize)
    assert client.ask(p.EXTENDED, text(p.LIMITS))[1].long() == p.MAX_PACKET
    assert (
        client.names(p.EXTENDED, text(p.EXPAND_PATH), text(b"~"))[0][0]
        == os.path.realpath(os.path.expanduser("~")).encode()
    )
    assert client.names(p.REALPATH, text(b"no/../x"))[0][0] == str(tmp_path / "x").encode()


@pytest.mark.parametrize(
    ("kind", "fields", "status"),
    [
        (p.STAT, text(b"no"), p.NO_SUCH_FILE),
        (p.STAT, text(b"a\0b"), p.FAILURE),
        (p.STAT, text(b"x" * 5000), p.FAILURE),
        (p.STAT, b"\0\0\0\x05abc", p.BAD_MESSAGE),
        (p.OPEN, text(b"no"), p.BAD_MESSAGE),
        (p.OPEN, text(b"no") + struct.pack(">II", 1, 0x80000000) + b"\xff\xff\xff\xff", p.BAD_MESSAGE),
        (p.READ, text(b"1") + struct.pack(">QI", 0, 1), p.FAILURE),
        (p.READDIR, text(b"1"), p.FAILURE),
        (p.CLOSE, text(b"\xff"), p.FAILURE),
        (p.EXTENDED, text(b"x@y"), p.UNSUPPORTED),
        (99, b"", p.UNSUPPORTED),
    ],
)
def test_what_cannot_be_done(client: Client, kind: int, fields: bytes, status: int) -> None:
    assert client.status(kind, fields)[0] == status


def test_packet_without_a_number_cannot_be_answered() -> None:
    with pytest.raises(BadPacket):
        Server().answer(memoryview(b"\x05\0\0"))


def test_handles_are_limited(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handles, "MAX_HANDLES", 3)
    opened = [text(client.ask(p.OPENDIR, text(b"."))[1].text()) for _ in range(3)]
    assert client.status(p.OPENDIR, text(b"."))[0] == p.FAILURE
    assert client.status(p.OPEN, text(b"f"), struct.pack(">II", p.CREATE, 0))[0] == p.FAILURE
    assert client.status(p.CLOSE, opened[0])[0] == p.OK
    client.handle(b"f", p.FOR_WRITING | p.CREATE)


@pytest.mark.skipif(not os.path.exists("/proc/self/mem"), reason="needs Linux")
@pytest.mark.parametrize("path", ["/proc/self/mem", "/proc/thread-self/mem", "link"])
def test_memory_of_the_agent_is_not_read(client: Client, path: str) -> None:
    Path("link").symlink_to("/proc/self/task/../mem")
    assert client.status(p.OPEN, text(path.encode()), struct.pack(">II", 1, 0))[0] == p.PERMISSION_DENIED
    assert client.handle(b"/proc/self/status")
