"""Answers the requests of one client of SFTP version 3. Paths are bytes, of any encoding."""

from __future__ import annotations

import errno

from agent.sftp.handles import Handles
from agent.sftp.requests import EXTENSIONS, REQUESTS, status
from medusa.protocol.sftp import packets as p
from medusa.protocol.sftp.packets import BadPacket, Fields, packet, text

_STATUSES = {
    **dict.fromkeys((errno.ENOENT, errno.ENOTDIR, errno.ELOOP), p.NO_SUCH_FILE),
    **dict.fromkeys((errno.EPERM, errno.EACCES, errno.EROFS), p.PERMISSION_DENIED),
    **dict.fromkeys((errno.ENOSYS, errno.EOPNOTSUPP), p.UNSUPPORTED),
}
"""Maps errors of the system to statuses. All others are FAILURE."""


class Server:
    """The files of one client: carries out its requests, one by one. Each may block, as long as the disk does."""

    def __init__(self) -> None:
        self.handles = Handles()

    def answer(self, data: memoryview) -> bytes:
        """Carries out a request and returns the answer to it, a whole packet.

        Raises:
            BadPacket: the packet has no number, so that it cannot be answered.
        """
        kind, fields = data[0], Fields(data, 1)
        number = fields.number()
        if kind == p.INIT:
            return _version()
        request = REQUESTS.get(kind)
        if request is None:
            return status(number, p.UNSUPPORTED, "no such request: %d" % kind)
        try:
            return request(self.handles, number, fields)
        except BadPacket as error:
            return status(number, p.BAD_MESSAGE, str(error))
        except OSError as error:
            code = _STATUSES.get(error.errno or 0, p.FAILURE)
            return status(number, code, error.strerror or str(error))
        except OverflowError:
            return status(number, p.FAILURE, "a number is too large for this system")
        except ValueError as error:  # a path with a zero byte
            return status(number, p.FAILURE, str(error))


def _version() -> bytes:
    names = b"".join(text(name) + text(version) for name, (version, _) in EXTENSIONS.items())
    return packet(p.VERSION, p.PROTOCOL_VERSION, names)
