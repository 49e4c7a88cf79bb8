"""A reflector of mlogin's own: a process on loopback, which ends with mlogin, however that ends."""

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
_MAX_GREETING = 4096


@contextlib.contextmanager
def embedded_reflector(
    ledger: Ledger, signals: Signals, command: Sequence[str] = (), timeouts: Timeouts = DEFAULT_TIMEOUTS
) -> Iterator[str]:
    """Runs a reflector during a block and yields its base URL.

    Args:
        command: what to run instead of this installation's reflector, with `--port 0 --no-status --lifeline FD` added.

    Raises:
        Failure: it did not start; the text has the end of its log.
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
            # Only the session's id keeps other users of this host out of it, so the reflector shows no status.
            [*command, "--port", "0", "--no-status", "--lifeline", str(lifeline)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            pass_fds=[lifeline],
            cwd=directory,  # `-m` puts it first on the module path, so it must be one that only this user can write to
            env=_environment(),
            start_new_session=True,  # so that Control-C on the terminal does not reach it
        )


def _environment() -> dict[str, str]:
    """This process's environment, with its module path, and without options that are meant for another reflector."""
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith("MEDUSA_") and name != "CONFIG_FILE"
    }
    environ["PYTHONPATH"] = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)
    return environ


def _read_greeting(process: subprocess.Popen[bytes], log: Path, timeouts: Timeouts) -> str:
    """Returns the URL in `listening URL ...`, the line that a reflector prints when it serves. Raises Failure."""
    assert process.stdout is not None
    received = b""
    deadline = time.monotonic() + timeouts.reflector_start_timeout
    poller = select.poll()
    poller.register(process.stdout, select.POLLIN)
    while b"\n" not in received and len(received) < _MAX_GREETING:
        if not poller.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise _failure("does not start", log)
        data = os.read(process.stdout.fileno(), _MAX_GREETING)
        if not data:
            gone = processes.wait_quietly(process, timeouts.reflector_stop_grace)
            raise _failure(processes.ended(process.returncode) if gone else "fell silent", log)
        received += data
    line = received.split(b"\n")[0]
    if not line.startswith(_GREETING):
        raise _failure(f"said {printable(line.decode('utf-8', 'replace'))!r}", log)
    return line.split()[1].decode("ascii", "replace")


def _failure(what: str, log: Path) -> Failure:
    return Failure("\n".join([f"the embedded reflector {what}", *(f"  {line}" for line in processes.tail(log))]))


def _stop(process: subprocess.Popen[bytes], grace: float) -> None:
    """Waits for the process, which ends because its lifeline was closed; kills it after `grace` seconds."""
    assert process.stdout is not None
    process.stdout.close()
    if not processes.wait_quietly(process, grace):
        process.kill()
        process.wait()
