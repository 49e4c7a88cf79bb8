"""One ssh connection to a host. All commands on the host use it, so ssh asks for passwords only once.

The connection is opened before the session starts, while ssh can still ask its questions on the terminal. It is made by
the user's program `ssh`, with the user's configuration, keys, ssh-agents and known hosts.
"""

from __future__ import annotations

import contextlib
import enum
import json
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

from medusa.client import processes
from medusa.client.ledger import Ledger
from medusa.client.outcome import Failure
from medusa.client.timeouts import DEFAULT_TIMEOUTS, Timeouts
from medusa.protocol.printable import printable

MAX_SOCKET_PATH = 104
"""Bytes in the path of a unix socket, at most. Every system accepts this length."""

_PATH_IN_DIRECTORY = len("/medusa-12345678/ctl.1234567890123456")
"""Bytes that follow the temporary directory in the socket's path: a private directory, the name, ssh's suffix."""

_KEPT_LINES = 10
"""The number of last lines of ssh's stderr that are kept."""

# The guard process runs this if mlogin is killed. It ends: ssh, if that still asks on the terminal; the agent on the
# host; the connection.
_UNDO = r"""
pids=$1 out=$2 host=$3; shift 3
if read -r asking <"$pids" && kill "$asking" && kill -CONT "$asking"; then
  # ssh restores the terminal's modes first, which may stop it again.
  for try in 1 2 3; do kill -0 "$asking" || break; sleep 1; done
  kill -KILL "$asking"
fi
if [ -e "$out" ]; then
  for try in 1 2 3; do
    pid=$(sed -n 's/^medusa-agent \([0-9]*\)$/\1/p' "$out")
    [ -z "$pid" ] || break
    sleep 1
  done
  if [ -n "$pid" ]; then
    "$@" -- "$host" "kill $pid" </dev/null & killer=$!
    for try in 1 2 3 4 5; do kill -0 $killer || break; sleep 1; done
  fi
fi
"$@" -O exit -- "$host"
"""


class Phase(enum.Enum):
    """The phases of a connection: NEW -> ASKING (ssh may ask the user) -> OPEN (the user is logged in).

    close() may be called in each phase.
    """

    NEW = enum.auto()
    ASKING = enum.auto()
    """ssh connects, and may ask questions on the terminal. The phase stays the same if ssh fails to connect."""
    OPEN = enum.auto()


class Connection:
    """A master connection of ssh (ControlMaster) to one host. Call open() once, and in any case close() at the end.

    Attributes:
        output: the local file with the standard output of the script that spawn() has started.
        last_lines: the last lines that ssh wrote to stderr, printable.
        unresponsive: True if the host did not answer a command in time.

    Args:
        options: the user's options for ssh.
        directory: a private directory for the socket and other files.
    """

    def __init__(
        self, host: str, options: Sequence[str], directory: Path, ledger: Ledger, timeouts: Timeouts = DEFAULT_TIMEOUTS
    ) -> None:
        self.host = host
        self.output = directory / "out"
        self.last_lines: list[str] = []
        self.unresponsive = False
        self._timeouts = timeouts
        self._phase = Phase.NEW
        self._pid_file = directory / "asking"  # for the guard: contains ssh's pid in phase ASKING
        self._argv = ["ssh", "-o", "ControlPersist=no", "-o", "RemoteCommand=none", "-o", "ClearAllForwardings=yes"]
        # Our -S comes after the user's options: if -S is given twice, ssh uses the last one.
        self._argv += [*options, "-M", "-f", "-N", "-T", "-S", str(directory / "ctl"), "--", host]
        # If the socket is gone, ssh must fail. By default it would open a new connection, and ask for a password.
        no_dialling = ["-F", "none", "-o", "ProxyCommand=false", "-o", "BatchMode=yes"]
        self._through = ["ssh", *no_dialling, "-T", "-S", str(directory / "ctl")]
        self._ledger = ledger
        self._undo = json.dumps(
            ["sh", "-c", _UNDO, "sh", str(self._pid_file), str(self.output), host, *self._through],
        )
        self._exit = json.dumps([*self._through, "-O", "exit", "--", host])
        self._kept = ""  # the process group whose end the guard waits for
        self._process: subprocess.Popen[bytes] | None = None
        self._error: OSError | None = None
        self._spawned = threading.Event()
        self._stderr = b""
        # A thread starts ssh: signal handlers run in the main thread only. A handler that raises an exception while
        # Popen runs could otherwise leave an ssh that nobody ends.
        self._thread = threading.Thread(target=self._run, name="ssh", daemon=True)

    def open(self) -> None:
        """Connects to the host, and returns when the user is logged in. Until then ssh may ask the user questions.

        Raises:
            Failure: ssh cannot be started, or cannot connect.
        """
        self._ledger.add("command", self._undo)
        self._phase = Phase.ASKING
        self._thread.start()
        self._spawned.wait()
        if self._process is None:
            raise Failure(f"cannot start ssh: {self._error}")
        status = self._process.wait()
        if status:
            self._thread.join(self._timeouts.ssh.last_words_timeout)
            raise Failure(f"no connection to {printable(self.host)}: ssh {processes.ended(status)}")
        self._pid_file.unlink()
        self._phase = Phase.OPEN

    def forward(self, port: int) -> int:
        """Forwards a free port of the host's loopback to `port` on this machine's loopback. Returns the host's port.

        Raises:
            Failure: the host does not answer, or its sshd forbids the forwarding.
        """
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
        """Runs a script in /bin/sh on the host. sh reads it from standard input, so no process list shows the script.

        Args:
            log: the local file for the script's standard error.

        Returns:
            The local ssh process, which ends when the script ends.
        """
        with tempfile.TemporaryFile() as file, self.output.open("wb") as output, log.open("wb") as errors:
            file.write(script)
            file.seek(0)
            # The user's login shell runs this command; it means the same in every shell.
            return subprocess.Popen(
                [*self._through, "--", self.host, "exec /bin/sh -s"],
                stdin=file,
                stdout=output,
                stderr=errors,
                start_new_session=True,  # a Control-C on the terminal must not end this ssh
            )

    def run(self, command: str) -> bool:
        """Runs a command on the host. Returns True if it succeeded.

        If an earlier command got no answer in time, returns False at once and runs nothing.
        """
        if self.unresponsive:
            return False
        done = self._ask("--", self.host, command, timeout=self._timeouts.ssh.end_timeout)
        self.unresponsive = done is None
        return done is not None and done.returncode == 0

    def keep(self, group: int) -> None:
        """Keeps the connection open if mlogin dies, until the process group `group` has ended.

        `group`: the process group of the local ssh that spawn() has returned.
        """
        self._kept = str(group)
        self._ledger.add("await", self._kept)
        self._ledger.add("after", self._exit)
        self._ledger.remove("command", self._undo)

    def close(self) -> None:
        """Closes the connection. If ssh still asks the user for a password, ends ssh."""
        if self._phase is Phase.NEW:
            return
        self._spawned.wait()
        if self._process is not None:
            self._stop_asking(self._process)
            self._ask("-O", "exit", "--", self.host)
            self._thread.join(self._timeouts.ssh.command_timeout)
        for entry in (("command", self._undo), ("await", self._kept), ("after", self._exit)):
            self._ledger.remove(*entry)

    def _stop_asking(self, process: subprocess.Popen[bytes]) -> None:
        # At SIGTERM ssh restores the terminal's modes and exits. ssh may be suspended, so SIGCONT is needed as well.
        for signum in (signal.SIGTERM, signal.SIGCONT):
            process.send_signal(signum)
        if not processes.wait_quietly(process, self._timeouts.kill_grace):
            process.kill()
            process.wait()

    def _ask(self, *words: str, timeout: float | None = None) -> subprocess.CompletedProcess[bytes] | None:
        """Runs a command of the program ssh through the connection, and returns its result.

        The other arguments are the words of the command. Returns None if `timeout` (seconds) expires.
        """
        try:
            return subprocess.run(
                [*self._through, *words],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=self._timeouts.ssh.command_timeout if timeout is None else timeout,
                check=False,
                start_new_session=True,
            )
        except subprocess.TimeoutExpired:
            return None

    def _run(self) -> None:
        """Starts ssh, and reads its stderr until the connection ends. Runs in a thread of its own."""
        try:
            self._process = subprocess.Popen(
                ["sh", "-c", 'echo $$ >"$0" && exec "$@"', str(self._pid_file), *self._argv],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
        except OSError as error:
            self._error = error
            return
        finally:
            self._spawned.set()
        # The main thread handles signals. This thread blocks them only now, because ssh would inherit the mask.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        assert self._process.stderr is not None
        with self._process.stderr as stderr:
            while data := os.read(stderr.fileno(), 4096):
                self._received(data)

    def _received(self, data: bytes) -> None:
        """Keeps the last lines of `data`, which ssh wrote to stderr.

        While ssh may ask the user questions, also shows `data` on the screen. Later the screen belongs to the session.
        """
        if self._phase is Phase.ASKING:
            with contextlib.suppress(OSError):
                os.write(2, data)
        self._stderr = (self._stderr + data)[-4096:]
        lines = self._stderr.decode("utf-8", "replace").splitlines()
        self.last_lines = [printable(line) for line in lines[-_KEPT_LINES:]]


def socket_directory() -> Path:
    """Returns a directory for temporary files whose path is short enough for ssh's socket.

    Raises Failure if there is none.
    """
    shared = ("/tmp", "/var/tmp")  # noqa: S108 - the caller makes a private directory in it
    for place in (tempfile.gettempdir(), os.environ.get("XDG_RUNTIME_DIR"), *shared):
        if place and len(os.path.realpath(place)) + _PATH_IN_DIRECTORY <= MAX_SOCKET_PATH and os.access(place, os.W_OK):
            return Path(place)
    raise Failure("the paths of all temporary directories are too long for ssh's socket; TMPDIR names another")
