"""A process whose first thread has ended while another one still runs, which is common when daemons end."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.waiting import wait_until

_SCRIPT = """
import ctypes, threading
threading.Thread(target=threading.Event().wait).start()
ctypes.CDLL(None).pthread_exit(None)
"""


@contextmanager
def without_first_thread() -> Iterator[subprocess.Popen[bytes]]:
    """Runs such a process, in a session of its own."""
    with subprocess.Popen([sys.executable, "-c", _SCRIPT], start_new_session=True) as process:
        try:
            wait_until(lambda: " Z " in Path(f"/proc/{process.pid}/stat").read_text(), "the end of its first thread")
            yield process
        finally:
            process.kill()
