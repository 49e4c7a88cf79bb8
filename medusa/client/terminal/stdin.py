"""Reads standard input without ever blocking, although other programs may read it too.

If poll reports bytes, another reader of the same terminal or pipe may take them first. A read would then block. Setting
O_NONBLOCK on descriptor 0 would set it for the other programs too. So a terminal or pipe is opened a second time.
"""

from __future__ import annotations

import os
import socket
import stat

from medusa.client.terminal.signals import unstopped
from medusa.client.terminal.stdout import reopen


class Stdin:
    """Reads standard input, the descriptor `fd`.

    If `fd` is a pipe or a terminal that cannot be opened a second time, `read` may block after all. An example is the
    terminal of another user, if there is no /proc.

    Attributes:
        may_block: True if `read` may block.
    """

    def __init__(self, fd: int = 0) -> None:
        self._fd = fd
        self._own = reopen(fd, os.O_RDONLY)
        mode = os.fstat(fd).st_mode
        self._socket = socket.socket(fileno=os.dup(fd)) if stat.S_ISSOCK(mode) else None
        self.may_block = self._own is None and self._socket is None and not stat.S_ISREG(mode)

    def fileno(self) -> int:
        """Returns the descriptor to poll."""
        return self._fd if self._own is None else self._own

    def read(self, size: int) -> bytes | None:
        """Returns up to `size` bytes; b"" at the end of the input; None if there are no bytes now.

        Raises:
            OSError: the descriptor cannot be read. EIO: this process is in the background, or the terminal is gone.
        """
        try:
            if self._socket is not None:
                return self._socket.recv(size, socket.MSG_DONTWAIT)
            with unstopped():
                return os.read(self.fileno(), size)
        except BlockingIOError:
            return None

    def close(self) -> None:
        """Closes the descriptors that this object has opened. `fd` itself stays open."""
        if self._own is not None:
            os.close(self._own)
            self._own = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None
