"""The attributes of a file in SFTP version 3: size, owner, mode and times."""

from __future__ import annotations

import struct
from typing import NamedTuple, Optional, Tuple

from medusa.protocol.sftp.packets import Fields

_SIZE, _OWNER, _MODE, _TIMES, _EXTENDED = 1, 2, 4, 8, 0x80000000
_MAX_TIME = (1 << 32) - 1


class Attributes(NamedTuple):
    """The attributes of a file. Those that are not given are None.

    Attributes:
        size: in bytes.
        owner: the ids of the user and of the group.
        mode: the type of the file and its permissions, as in `st_mode`.
        times: when the file was last read, and when it was last written, in whole seconds since 1970.
    """

    size: Optional[int] = None
    owner: Optional[Tuple[int, int]] = None
    mode: Optional[int] = None
    times: Optional[Tuple[int, int]] = None

    @classmethod
    def read(cls, fields: Fields) -> Attributes:
        """Returns the attributes that are next in a packet. Raises BadPacket."""
        given = fields.number()
        size = fields.long() if given & _SIZE else None
        owner = (fields.number(), fields.number()) if given & _OWNER else None
        mode = fields.number() if given & _MODE else None
        times = (fields.number(), fields.number()) if given & _TIMES else None
        for _ in range(fields.number() if given & _EXTENDED else 0):
            fields.view()
            fields.view()
        return cls(size, owner, mode, times)

    def build(self) -> bytes:
        """Returns the attributes as a field of a packet."""
        found, given = b"", 0
        if self.size is not None:
            given, found = _SIZE, struct.pack(">Q", self.size)
        for flag, value in ((_OWNER, self.owner), (_MODE, self.mode), (_TIMES, self.times)):
            if value is not None:
                numbers = value if isinstance(value, tuple) else (value,)
                given, found = given | flag, found + struct.pack(">%dI" % len(numbers), *numbers)
        return struct.pack(">I", given) + found


NONE = Attributes().build()
"""No attributes, as a field of a packet."""


def whole_seconds(time: float) -> int:
    """Returns a time in the whole seconds that version 3 has. It has no times before 1970 and after 2106."""
    return max(0, min(int(time), _MAX_TIME))
