"""A reflector of mlogin's own: a process on loopback that lives no longer than mlogin, whatever happens to either."""

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
from medusa.client.terminal.signals import Signals
from medusa.client.timeouts import DEFAULT_TIMEOUTS, Timeouts
from medusa.protocol.printable import printable

_GREETING = b"listening "
_LONGEST_GREETING = 4096


@contextlib.contextmanager
def embedded_reflector(
    ledger: Ledger, signals: Signals, command: Sequence[str] = (), timeouts: Timeouts = DEFAULT_TIMEOUTS
) -> Iterator[str]:
    """Runs a reflector and yields its base URL.

    Args:
        command: instead of this installation's reflector; `--port 0 --no-status --lifeline FD` is appended.

    Raises:
        Failure: it did not come up; the text has the end of its log.
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
            with signals.interruptible():
                url = _read_greeting(process, log, timeouts)
            yield url
        finally:
            os.close(lifeline)
            _stop(process, timeouts.reflector_stop_grace)


def _spawn(command: Sequence[str], lifeline: int, directory: Path, log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as stderr:
        return subprocess.Popen(
            # The session's id is all that keeps others on this host out of it: nobody is to be told.
            [*command, "--port", "0", "--no-status", "--lifeline", str(lifeline)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            pass_fds=[lifeline],
            cwd=directory,  # -m puts the current directory first on the module path: not one that others may write to
            env=_environment(),
            start_new_session=True,  # the terminal's Control-C is not meant for it
        )


def _environment() -> dict[str, str]:
    """Ours, with the same modules to be found, and without options meant for another reflector."""
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith("MEDUSA_") and name != "CONFIG_FILE"
    }
    environ["PYTHONPATH"] = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)
    return environ


def _read_greeting(process: subprocess.Popen[bytes], log: Path, timeouts: Timeouts) -> str:
    """The URL in `listening URL ...`, the one line that a reflector prints when it serves."""
    assert process.stdout is not None
    heard = b""
    deadline = time.monotonic() + timeouts.reflector_start_timeout
    poller = select.poll()
    poller.register(process.stdout, select.POLLIN)
    while b"\n" not in heard and len(heard) < _LONGEST_GREETING:
        if not poller.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise _failure("does not start", log)
        data = os.read(process.stdout.fileno(), _LONGEST_GREETING)
        if not data:
            gone = processes.wait_quietly(process, timeouts.reflector_stop_grace)
            raise _failure(processes.ended(process.returncode) if gone else "fell silent", log)
        heard += data
    words = heard.split(b"\n")[0]
    if not words.startswith(_GREETING):
        raise _failure(f"said {printable(words.decode('utf-8', 'replace'))!r}", log)
    return words.split()[1].decode("ascii", "replace")


def _failure(what: str, log: Path) -> Failure:
    return Failure("\n".join([f"the embedded reflector {what}", *(f"  {line}" for line in processes.tail(log))]))


def _stop(process: subprocess.Popen[bytes], grace: float) -> None:
    """Waits for the end that the lifeline brings; else by force."""
    assert process.stdout is not None
    process.stdout.close()
    if not processes.wait_quietly(process, grace):
        process.kill()
        process.wait()
