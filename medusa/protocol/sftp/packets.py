"""The packets of SFTP version 3: their types, their fields, and how a stream is cut into packets.

A packet is a length (4 bytes), a type (1 byte) and fields. In all packets but INIT and VERSION, the first field is the
number of the request, which the answer repeats.
"""

from __future__ import annotations

import struct
from typing import List, Union

from medusa.protocol.resume.byte_queue import Buffer

PROTOCOL_VERSION = 3

MAX_PACKET = 256 * 1024
"""The most bytes of a packet, without its length. OpenSSH has the same limit."""

MAX_DATA = MAX_PACKET - 1024
"""The most bytes of a file that are read or written by one request. OpenSSH has the same limit."""

USUAL_DATA = 32 * 1024
"""The bytes that any server reads or writes by one request."""

INIT, VERSION, OPEN, CLOSE, READ, WRITE, LSTAT, FSTAT, SETSTAT, FSETSTAT = range(1, 11)
OPENDIR, READDIR, REMOVE, MKDIR, RMDIR, REALPATH, STAT, RENAME, READLINK, SYMLINK = range(11, 21)
STATUS, HANDLE, DATA, NAME, ATTRS = range(101, 106)
EXTENDED, EXTENDED_REPLY = 200, 201

OK, EOF, NO_SUCH_FILE, PERMISSION_DENIED, FAILURE, BAD_MESSAGE, NO_CONNECTION, CONNECTION_LOST, UNSUPPORTED = range(9)
"""The codes of STATUS, the answer to requests that need no other answer, and to those that have failed."""

FOR_READING, FOR_WRITING, APPEND, CREATE, TRUNCATE, EXCLUSIVE = 1, 2, 4, 8, 16, 32
"""The flags of OPEN."""

LIMITS = b"limits@openssh.com"
POSIX_RENAME = b"posix-rename@openssh.com"
FSYNC = b"fsync@openssh.com"
HARDLINK = b"hardlink@openssh.com"
STATVFS = b"statvfs@openssh.com"
FSTATVFS = b"fstatvfs@openssh.com"
LSETSTAT = b"lsetstat@openssh.com"
EXPAND_PATH = b"expand-path@openssh.com"
"""The names of extensions, which OpenSSH's file PROTOCOL describes."""

HEAD = struct.Struct(">IBI")
"""The length, the type, and the number of the request."""

NUMBER, _LONG = struct.Struct(">I"), struct.Struct(">Q")


class BadPacket(Exception):
    """Raised if a packet is not as the protocol says. The text says why."""


def text(data: bytes) -> bytes:
    """Returns the field for a text or a handle: its length and its bytes."""
    return NUMBER.pack(len(data)) + data


def packet(kind: int, number: int, *fields: bytes) -> bytes:
    """Returns a packet with the given type, the number of its request, and its other fields."""
    return b"".join((HEAD.pack(5 + sum(map(len, fields)), kind, number), *fields))


class Fields:
    """Reads the fields of a packet, one after the other.

    Each method raises BadPacket if the packet has no such field left.
    """

    __slots__ = ("_at", "_data")

    def __init__(self, data: memoryview, at: int) -> None:
        self._data, self._at = data, at

    def number(self) -> int:
        """Returns a number of 32 bits."""
        return self._unpack(NUMBER)

    def long(self) -> int:
        """Returns a number of 64 bits."""
        return self._unpack(_LONG)

    def view(self) -> memoryview:
        """Returns the bytes of a text, without copying them. They are valid until the next packets are cut."""
        size = self.number()
        found = self._data[self._at : self._at + size]
        if len(found) < size:
            raise BadPacket("a text is cut off")
        self._at += size
        return found

    def text(self) -> bytes:
        """Returns the bytes of a text, such as a path."""
        return bytes(self.view())

    @property
    def over(self) -> bool:
        """True if there are no more fields."""
        return self._at >= len(self._data)

    def _unpack(self, shape: struct.Struct) -> int:
        try:
            (found,) = shape.unpack_from(self._data, self._at)
        except struct.error:
            raise BadPacket("a field is missing") from None
        self._at += shape.size
        return int(found)


class Cutter:
    """Cuts a stream of bytes into packets. Keeps the beginning of a packet until the rest of it has come."""

    def __init__(self) -> None:
        self._rest: List[Buffer] = []
        self._held = self._wanted = 0

    @property
    def held(self) -> int:
        """The number of bytes of a packet that has not come whole."""
        return self._held

    def cut(self, data: Union[bytes, memoryview]) -> List[memoryview]:
        """Returns the packets that are whole now, without their lengths. Each has at least one byte, which is its type.

        Raises:
            BadPacket: a packet is empty or has more than MAX_PACKET bytes.
        """
        self._rest.append(data)
        self._held += len(data)
        if self._held < max(4, self._wanted):
            return []
        view = memoryview(self._rest[0] if len(self._rest) == 1 else b"".join(self._rest))
        packets, at, end = [], 0, len(view)
        self._wanted = 0
        while end - at >= 4:
            (size,) = NUMBER.unpack_from(view, at)
            if not 0 < size <= MAX_PACKET:
                raise BadPacket("a packet of %d bytes" % size)
            if end - at < 4 + size:
                self._wanted = 4 + size
                break
            packets.append(view[at + 4 : at + 4 + size])
            at += 4 + size
        self._rest, self._held = [bytes(view[at:])] if at < end else [], end - at
        return packets
