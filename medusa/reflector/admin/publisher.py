"""Publishes the agent's archive by a separate process while the reflector serves.

So the reflector does not load the libraries for the place where the archive is stored, and never waits for that place.
"""

from __future__ import annotations

import os
import re
from typing import IO

import gevent
import structlog
from gevent import subprocess

from medusa.protocol.printable import printable
from medusa.reflector.child_process import module, surroundings
from medusa.reflector.config import Timeouts

log = structlog.get_logger(component="publisher")

_LONGEST_LINE = 4096
_DONE = re.compile(r"published (\d+) bytes, sha256 ([0-9a-f]{64}), at (.*)")
_NO_PATH = re.compile(r"manta:|[A-Za-z][A-Za-z0-9+.\-]*://")
_PREFIX = "medusa publish: "


class Publisher:
    """Runs a child process `medusa publish`, which repeats its attempts until the archive is published at `url`.

    The URL may contain secrets, and other users can read command lines. So the child reads the URL from a pipe. If this
    process ends in any way, the pipe is closed. Then the child ends too.
    """

    def __init__(self, url: str, timeouts: Timeouts) -> None:
        self._timeouts = timeouts
        self._url = url if _NO_PATH.match(url) else os.path.abspath(url)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts the child process, and returns at once. Its success or failure is logged."""
        try:
            self._process = process = subprocess.Popen(
                module(
                    "medusa", "publish", "--retry", f"{self._timeouts.publish_retry_interval:g}", "--lifeline", "0", "-"
                ),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                **surroundings(),
            )
        except OSError as error:
            log.error("archive not published", reason=os.strerror(error.errno) if error.errno else str(error))
            return
        gevent.spawn(self._follow, process)

    def stop(self) -> None:
        """Ends the child process if it still runs. Idempotent."""
        if self._process is None:
            return
        process, self._process = self._process, None
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(self._timeouts.publish_grace)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _follow(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(os.fsencode(self._url) + b"\n")
            process.stdin.flush()
        except (OSError, ValueError):
            pass  # the child has already ended, and has written the reason
        _log_lines(process.stdout)
        status = process.wait()
        if status < 0 and self._process is not None:
            log.error("archive not published", reason="the publisher was ended by signal %d" % -status)


def _log_lines(lines: IO[bytes]) -> None:
    """Logs each line that the child process writes, until its output ends."""
    with lines:
        while line := lines.readline(_LONGEST_LINE):
            text = line.decode("utf-8", "replace").rstrip("\n")
            done = _DONE.fullmatch(text)
            if done:
                log.info("archive published", bytes=int(done[1]), sha256=done[2], url=done[3])
            else:
                log.warning("archive not published", reason=printable(text.removeprefix(_PREFIX), _LONGEST_LINE))
