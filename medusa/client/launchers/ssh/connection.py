"""The user's own ssh to a host: one connection, opened with the terminal free for questions; all else goes through it.

The program `ssh` does all of it: its configuration, keys, agents and known hosts are the user's, and its checks stay as
he wants them.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

from medusa.client import processes
from medusa.client.ledger import GRACE, Ledger
from medusa.client.outcome import Failure
from medusa.protocol.printable import printable

PATIENCE = 20.0
"""Seconds that the host may take to answer what goes through an open connection."""

LAST_PATIENCE = 5.0
"""The same for what is done in the end, while the user waits."""

LAST_WORDS = 3.0
"""Seconds until what ssh said is on the screen."""

LONGEST_SOCKET = 104
"""Bytes of a socket's path that every system takes."""

_ROOM = len("/medusa-12345678/ctl.1234567890123456")
"""What ssh puts behind the directory while it makes the socket."""

_KEPT = 10
"""Of ssh's last lines."""

# The guard's work, should mlogin be killed: the ssh that still asks, the agent on the host, the connection.
_UNDO = r"""
pids=$1 out=$2 host=$3; shift 3
if read -r asking <"$pids" && kill "$asking" && kill -CONT "$asking"; then
  # It restores a terminal first, which may stop it again.
  for turn in 1 2 3; do kill -0 "$asking" || break; sleep 1; done
  kill -KILL "$asking"
fi
if [ -e "$out" ]; then
  for turn in 1 2 3; do
    pid=$(sed -n 's/^medusa-agent \([0-9]*\)$/\1/p' "$out")
    [ -z "$pid" ] || break
    sleep 1
  done
  if [ -n "$pid" ]; then
    "$@" -- "$host" "kill $pid" </dev/null & killer=$!
    for turn in 1 2 3 4 5; do kill -0 $killer || break; sleep 1; done
  fi
fi
"$@" -O exit -- "$host"
"""


class Master:
    """One connection. open() once, close() in any case.

    Attributes:
        output: what becomes of the agent's standard output, whose first line is `medusa-agent PID`; in `directory`.
        words: ssh's last lines, printable.
        silent: the host did not answer.
    """

    def __init__(self, host: str, options: Sequence[str], directory: Path, ledger: Ledger) -> None:
        self.host = host
        self.output = directory / "out"
        self.words: list[str] = []
        self.silent = False
        self._asking = directory / "asking"
        self._argv = ["ssh", "-o", "ControlPersist=no", "-o", "RemoteCommand=none", "-o", "ClearAllForwardings=yes"]
        # Behind the user's: of two sockets the last one counts.
        self._argv += [*options, "-M", "-f", "-N", "-T", "-S", str(directory / "ctl"), "--", host]
        # Without the socket ssh would dial by itself, and ask.
        never = ["-F", "none", "-o", "ProxyCommand=false", "-o", "BatchMode=yes"]
        self._through = ["ssh", *never, "-T", "-S", str(directory / "ctl")]
        self._ledger = ledger
        self._undo = json.dumps(
            ["sh", "-c", _UNDO, "sh", str(self._asking), str(self.output), host, *self._through],
        )
        self._process: subprocess.Popen[bytes] | None = None
        self._error: OSError | None = None
        self._spawned = threading.Event()
        self._heard = b""
        # A thread's code is not interrupted by a signal's handler: no process is started and forgotten.
        self._thread = threading.Thread(target=self._run, name="ssh", daemon=True)

    def open(self) -> None:
        """Returns when the host has let us in; ssh asks on the terminal meanwhile. Raises Failure."""
        self._ledger.add("command", self._undo)
        self._thread.start()
        self._spawned.wait()
        if self._process is None:
            raise Failure(f"cannot start ssh: {self._error}")
        status = self._process.wait()
        if status:
            self._thread.join(LAST_WORDS)
            raise Failure(f"no connection to {printable(self.host)}: ssh {processes.ended(status)}")
        self._asking.unlink()

    def forward(self, port: int) -> int:
        """A port of the host's loopback, taken by the host, that leads to `port` of ours. Raises Failure."""
        done = self._ask("-O", "forward", "-R", f"127.0.0.1:0:127.0.0.1:{port}", "--", self.host)
        if done is not None and done.returncode == 0 and done.stdout.strip().isdigit():
            return int(done.stdout)
        why = "it does not answer" if done is None else done.stderr.decode("utf-8", "replace").strip()
        raise Failure(
            f"{printable(self.host)} forwards no port to mlogin's own reflector: {printable(why)}\n"
            "  its sshd must have AllowTcpForwarding yes or remote; else name a reflector that the host can reach, by "
            "--reflector"
        )

    def spawn(self, script: bytes, log: Path) -> subprocess.Popen[bytes]:
        """Has the host's /bin/sh run a script, which is seen in no process list.

        Args:
            log: takes its standard error.
        """
        with tempfile.TemporaryFile() as file, self.output.open("wb") as output, log.open("wb") as errors:
            file.write(script)
            file.seek(0)
            # These words mean the same to every login shell.
            return subprocess.Popen(
                [*self._through, "--", self.host, "exec /bin/sh -s"],
                stdin=file,
                stdout=output,
                stderr=errors,
                start_new_session=True,  # the terminal's Control-C is not meant for it
            )

    def run(self, command: str) -> bool:
        """Whether a command succeeded on the host. One that did not answer is not asked again."""
        if self.silent:
            return False
        done = self._ask("--", self.host, command, patience=LAST_PATIENCE)
        self.silent = done is None
        return done is not None and done.returncode == 0

    def close(self) -> None:
        """Ends the connection, or the attempt at one."""
        if self._thread.ident is None:
            return
        self._spawned.wait()
        if self._process is not None:
            self._stop_asking(self._process)
            self._ask("-O", "exit", "--", self.host)
            self._thread.join(PATIENCE)
        self._ledger.remove("command", self._undo)

    def _stop_asking(self, process: subprocess.Popen[bytes]) -> None:
        for signum in (signal.SIGTERM, signal.SIGCONT):  # at the first it restores the terminal; it may be suspended
            process.send_signal(signum)
        if not processes.wait_quietly(process, GRACE):
            process.kill()
            process.wait()

    def _ask(self, *words: str, patience: float = PATIENCE) -> subprocess.CompletedProcess[bytes] | None:
        """One call of ssh through the connection; None if it takes too long."""
        try:
            return subprocess.run(
                [*self._through, *words],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=patience,
                check=False,
                start_new_session=True,
            )
        except subprocess.TimeoutExpired:
            return None

    def _run(self) -> None:
        try:
            self._process = subprocess.Popen(
                ["sh", "-c", 'echo $$ >"$0" && exec "$@"', str(self._asking), *self._argv],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
        except OSError as error:
            self._error = error
            return
        finally:
            self._spawned.set()
        # The main thread's business, but not to be inherited.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        assert self._process.stderr is not None
        with self._process.stderr as stderr:
            while data := os.read(stderr.fileno(), 4096):
                self._hear(data)

    def _hear(self, data: bytes) -> None:
        """Shows what ssh says while it asks; what it says later is kept, as the screen is the session's then."""
        if self._asking.exists():
            with contextlib.suppress(OSError):
                os.write(2, data)
        self._heard = (self._heard + data)[-4096:]
        self.words = [printable(line) for line in self._heard.decode("utf-8", "replace").splitlines()[-_KEPT:]]


def short_place() -> Path:
    """Where a directory can lie in which ssh can make a socket. Raises Failure."""
    shared = ("/tmp", "/var/tmp")  # noqa: S108 - the directory in it is private
    for place in (tempfile.gettempdir(), os.environ.get("XDG_RUNTIME_DIR"), *shared):
        if place and len(os.path.realpath(place)) + _ROOM <= LONGEST_SOCKET and os.access(place, os.W_OK):
            return Path(place)
    raise Failure("the paths of all temporary directories are too long for ssh's socket; TMPDIR names another")
