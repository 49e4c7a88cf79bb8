"""Runs a reflector for one mlogin: a process that listens on loopback.

The process ends when mlogin ends, even if mlogin is killed by SIGKILL.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from medusa.client import processes
from medusa.client.ledger import Ledger
from medusa.client.outcome import Failure
from medusa.client.timeouts import DEFAULT_TIMEOUTS, Timeouts
from medusa.protocol.printable import printable

_GREETING = b"listening "
_MAX_GREETING = 4096


class EmbeddedReflector:
    """A reflector that runs for this mlogin. The function `embedded_reflector` starts it."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, timeouts: Timeouts) -> None:
        self._process, self._log, self._timeouts = process, log, timeouts
        self._deadline = time.monotonic() + timeouts.reflector_start_timeout
        self._ready = False

    def url(self) -> str:
        """Waits until the reflector is ready, and returns its base URL. Call it once.

        Raises:
            Failure: the reflector did not start. The text contains the last lines of its log.
        """
        url = _read_greeting(self._process, self._log, self._deadline, self._timeouts.reflector_stop_grace)
        self._ready = True
        return url

    def over(self) -> bool:
        """Returns True if the reflector has ended."""
        return self._process.poll() is not None

    def end(self) -> str:
        """Returns how the reflector has ended; "" if it has not, or was never ready.

        The last line of its log is added unless a signal has killed it, of which the log says nothing.
        """
        status = self._process.poll()
        if status is None or not self._ready:
            return ""
        if status < 0:
            return f"mlogin's own reflector has been {processes.ended(status)}"
        said = [f"; the last line of its log: {line}" for line in processes.tail(self._log, 1)]
        return "".join([f"mlogin's own reflector has {processes.ended(status)}", *said])


@contextlib.contextmanager
def embedded_reflector(
    ledger: Ledger, command: Sequence[str] = (), timeouts: Timeouts = DEFAULT_TIMEOUTS
) -> Iterator[EmbeddedReflector]:
    """Context manager that starts a reflector, and yields it at once. The reflector runs during the `with` block.

    Args:
        ledger: makes the directory of the reflector's log.
        command: the program and arguments to run instead of `medusa reflector`. The arguments `--port 0 --no-status
            --lifeline FD` are added.
        timeouts: the time limits for the start and the end of the reflector.
    """
    with ledger.private_directory() as directory:
        lifeline_reader, lifeline = os.pipe()
        log = directory / "reflector.log"
        try:
            process = _spawn(command or (sys.executable, "-m", "medusa", "reflector"), lifeline_reader, directory, log)
        except BaseException:
            os.close(lifeline)
            raise
        finally:
            os.close(lifeline_reader)
        try:
            yield EmbeddedReflector(process, log, timeouts)
        finally:
            os.close(lifeline)
            _stop(process, timeouts.reflector_stop_grace)


def _spawn(command: Sequence[str], lifeline: int, directory: Path, log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as stderr:
        return subprocess.Popen(
            # Other users of this host can join the session if they learn its id. So the reflector shows no status.
            [*command, "--port", "0", "--no-status", "--lifeline", str(lifeline)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            pass_fds=[lifeline],
            cwd=directory,  # `-m` imports modules from it first, so only this user may be able to write there
            env=_environment(),
            start_new_session=True,  # Control-C on the terminal must not end the reflector
        )


def _environment() -> dict[str, str]:
    """Returns the environment variables for the reflector: a copy of this process's variables, with two changes.

    PYTHONPATH is set to this process's module path. The variables CONFIG_FILE and MEDUSA_... are left out, because they
    could set options of the reflector.
    """
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith("MEDUSA_") and name != "CONFIG_FILE"
    }
    environ["PYTHONPATH"] = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)
    return environ


def _read_greeting(process: subprocess.Popen[bytes], log: Path, deadline: float, grace: float) -> str:
    """Waits for the line `listening URL ...` that a reflector prints when it is ready. Returns the URL.

    Args:
        deadline: the time.monotonic() after which to give up.
        grace: seconds in which a reflector that has closed its output must end.

    Raises:
        Failure: the reflector ended, printed something else, or was not ready in time.
    """
    assert process.stdout is not None
    received = b""
    poller = select.poll()
    poller.register(process.stdout, select.POLLIN)
    while b"\n" not in received and len(received) < _MAX_GREETING:
        if not poller.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise _failure("does not start", log)
        data = os.read(process.stdout.fileno(), _MAX_GREETING)
        if not data:
            gone = processes.wait_quietly(process, grace)
            raise _failure(processes.ended(process.returncode) if gone else "fell silent", log)
        received += data
    line = received.split(b"\n")[0]
    if not line.startswith(_GREETING):
        raise _failure(f"said {printable(line.decode('utf-8', 'replace'))!r}", log)
    return line.split()[1].decode("ascii", "replace")


def _failure(what: str, log: Path) -> Failure:
    return Failure("\n".join([f"the embedded reflector {what}", *(f"  {line}" for line in processes.tail(log))]))


def _stop(process: subprocess.Popen[bytes], grace: float) -> None:
    """Waits up to `grace` seconds until the reflector ends, then kills it.

    Before the call, the caller must close its end of the pipe that the reflector got by `--lifeline`. That tells the
    reflector to end.
    """
    assert process.stdout is not None
    process.stdout.close()
    if not processes.wait_quietly(process, grace):
        process.kill()
        process.wait()
