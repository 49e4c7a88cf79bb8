"""The launcher `ssh`: runs the agent on a host that the user's `ssh` command reaches."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import urllib.parse
from collections.abc import Sequence
from pathlib import Path

from medusa.client import processes
from medusa.client.archive import find_archive
from medusa.client.launchers.base import JobRequest, JobState, Launcher, Settings
from medusa.client.launchers.script import DIRECT, with_settings
from medusa.client.launchers.ssh.connection import Connection, socket_directory
from medusa.client.ledger import Ledger
from medusa.client.outcome import Failure
from medusa.client.timeouts import Timeouts
from medusa.protocol.printable import printable
from medusa.protocol.record import replace

_PID_INTERVAL = 0.1
"""Seconds between two searches for the agent's pid in its output."""

_CONNECTION_LOST = 255
"""The exit status of ssh(1) if the connection has ended. A command's status may be the same."""

_HOLD = 5
"""Seconds after which the agent ends if its link is lost. For mlogin's own reflector only.

Such a link is hardly lost without the connection to the host, and then nobody can come back.
"""

HELP = """\
usage: mlogin ssh:[USER@]HOST [OPTION...] [-- OPTION OF SSH...]
       mlogin --launcher ssh [OPTION...] [USER@]HOST [-- OPTION OF SSH...]

Runs the session on a host that your own ssh reaches, with your configuration,
keys and known hosts. A command is given by -c: mlogin ssh:HOST -c uptime

Options of ssh go after --. These are often used; `man ssh` has the others:

  -p PORT       the port of the host's sshd
  -i FILE       the private key to log in with
  -J HOST       go by way of this host
  -F FILE       another configuration than ~/.ssh/config
  -o NAME=VALUE an option of ssh_config
  -4, -6        IPv4, or IPv6, only

  mlogin ssh:alice@node17 -- -J login.example.com -p 2222"""

_FLAGS = "46AaCfGgKkMNnqsTtVvXxYy"
"""The options of ssh that take no value."""


class SshLauncher(Launcher):
    """Runs the agent on the host that OBJECT names as [USER@]HOST.

    If mlogin runs its own reflector, ssh forwards a port of the host to it.
    """

    name = "ssh"
    options_of = "ssh"

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        settings.refuse_others(self.name, "archive", "object", "arguments")
        if not settings.object or settings.object.startswith("-"):
            raise Failure("the launcher `ssh` needs a host: mlogin ssh:[USER@]HOST [-- OPTIONS OF SSH]")
        stray = stray_word(settings.arguments)
        if stray is not None:
            command = f"a command is given by -c: mlogin ssh:{printable(settings.object)} -c COMMAND"
            raise Failure(f"`{printable(stray)}` is no option of ssh; {command}")
        if shutil.which("ssh") is None:
            raise Failure("the launcher `ssh` needs the program ssh, and there is none on PATH")
        self._archive = find_archive(settings.archive)
        self._host = settings.object
        self._options = settings.arguments
        self._ledger = ledger
        self._tell = settings.tell
        self._timeouts = settings.timeouts
        self._stack = contextlib.ExitStack()
        self._directory = Path()
        self._connection: Connection | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._state = JobState(alive=True, words="not started")
        self._embedded = False

    @classmethod
    def help(cls) -> str:
        return HELP

    def describe(self) -> str:
        return f"a job on {printable(self._host)}"

    def create(self) -> str:
        """Connects to the host, and returns a new session id. Waits while the user answers the questions of ssh.

        mlogin calls this before it attaches to the session, because it must not be attached during this wait.
        """
        self._directory = self._stack.enter_context(self._ledger.private_directory(socket_directory()))
        self._connection = Connection(self._host, self._options, self._directory, self._ledger, self._timeouts)
        self._connection.open()
        return super().create()

    def submit(self, request: JobRequest) -> None:
        assert self._connection is not None
        config = request.config(self._timeouts.url_lifetime)
        url, lines = str(config["signed_url"]), ['echo "medusa-agent $$"']
        self._embedded = request.embedded is not None
        if request.embedded is not None:
            port = self._connection.forward(request.embedded)
            url = urllib.parse.urlsplit(url)._replace(netloc=f"127.0.0.1:{port}").geturl()
            lines += [DIRECT, f"MEDUSA_HOLD={_HOLD}; export MEDUSA_HOLD"]
        settings = replace(request, session_url=lambda _: url, environ={}, guest=True).variables()
        try:
            script = with_settings(self._archive, settings, lines)
            self._process = self._connection.spawn(script, self._log)
        except OSError as error:
            raise Failure(f"cannot start a job by ssh: {error}") from error

    def poll(self) -> JobState:
        if self._process is not None:
            status = self._process.poll()
            words = "running" if status is None else processes.ended(status)
            self._state = JobState(alive=status is None, words=words)
        return self._state

    def over(self) -> bool:
        """Returns True if the agent has ended and cannot come back.

        If only the connection to the host has ended, the result depends on the reflector. True if it is mlogin's own
        reflector, which the agent reaches only over this connection. False if it is any other reflector, because the
        agent may still run and come back.
        """
        ended = not self.poll().alive
        lost = self._process is not None and self._process.poll() == _CONNECTION_LOST
        return ended and (self._embedded or not lost)

    def log_tail(self) -> list[str]:
        return [*processes.tail(self._log), *(self._connection.last_lines if self._connection else [])]

    def keep(self) -> bool:
        if self._connection is not None and self._process is not None:
            self._connection.keep(self._process.pid)
        return True

    def finish(self, grace: float, *, clean: bool) -> None:
        if self._process is not None:
            processes.wait_quietly(self._process, grace)
        self.cancel()

    def cancel(self) -> None:
        self.poll()  # if the job has ended by itself, `_state` now says how
        connection, self._connection = self._connection, None
        process, self._process = self._process, None
        with self._stack:
            if connection is None:
                return
            if process is not None:
                _end(connection, process, self._timeouts)
            if connection.unresponsive:
                ends = f"ends {_HOLD} s after" if self._embedded else "may go on for an hour after"
                self._tell(f"{printable(connection.host)} does not answer; the agent there {ends} its link is lost")
            connection.close()

    @property
    def _log(self) -> Path:
        return self._directory / "job.log"


def stray_word(words: Sequence[str]) -> str | None:
    """Returns the first word that is neither an option of ssh nor an option's value. None if there is no such word.

    `words`: the words that the user gave as options for ssh.
    """
    left = list(words)
    while left:
        word = left.pop(0)
        if not word.startswith("-"):
            return word
        letters = word[1:].lstrip(_FLAGS)
        if len(letters) == 1 and left:
            left.pop(0)  # its value
    return None


def _end(connection: Connection, process: subprocess.Popen[bytes], timeouts: Timeouts) -> None:
    """Ends the agent on the host, and `process`, the local ssh that started the agent."""
    for signal in ("TERM", "KILL"):
        if process.poll() is not None:
            break
        pid = _agent_pid(connection, process, timeouts.ssh.pid_timeout)
        if pid is not None and connection.run(f"kill -{signal} {pid}"):
            processes.wait_quietly(process, timeouts.kill_grace)
    if process.poll() is None:
        process.kill()
    process.wait()


def _agent_pid(connection: Connection, process: subprocess.Popen[bytes], timeout: float) -> str | None:
    """Returns the agent's pid on the host. Returns None if the agent does not print it in `timeout` seconds.

    The agent's script prints the line `medusa-agent PID`. The login shell may print other lines before it.

    `process`: the local ssh that started the agent. If it ends, the wait ends.
    """
    for _ in range(round(timeout / _PID_INTERVAL)):
        if found := re.search(rb"^medusa-agent (\d+)$", connection.output.read_bytes(), re.MULTILINE):
            return found[1].decode()
        if processes.wait_quietly(process, _PID_INTERVAL):
            break
    return None
