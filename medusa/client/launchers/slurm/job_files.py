"""The files of one Slurm job: the script that runs the agent, and the agent's config, which is renewed."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

from medusa.client import processes
from medusa.client.launchers.base import JobRequest
from medusa.client.launchers.polled import Clock
from medusa.client.launchers.script import DIRECT, with_settings
from medusa.client.ledger import Ledger
from medusa.client.outcome import Failure
from medusa.client.timeouts import Timeouts
from medusa.protocol.printable import printable

MAX_SPOOLED_SCRIPT = 1 << 20
"""Bytes of a script for sbatch, at most.

Slurm accepts four times that by default. But its controller stores every script, so ours are kept small.
"""

# Shell lines that run in the job before the agent. If the node can see the private directory, the agent reads the
# latest config from it, and writes its log to it.
_PROLOGUE = (
    'if [ -r "$MEDUSA_PLACE/config.json" ]; then',
    # An archive of an earlier version (--archive) reads MEDUSA_CONFIG.
    "  MEDUSA_AGENT_CONFIG=$MEDUSA_PLACE/config.json; MEDUSA_CONFIG=$MEDUSA_AGENT_CONFIG",
    "  export MEDUSA_AGENT_CONFIG MEDUSA_CONFIG; unset MEDUSA_SIGNED_URL MEDUSA_INSECURE_TLS",
    "fi",
    'if [ -w "$MEDUSA_PLACE" ]; then exec 2>>"$MEDUSA_PLACE/job.log"; fi',
)


class JobFiles:
    """The files of one job. Call `prepare` once, and `renew` again and again until the agent attaches.

    Attributes:
        notice: a line for the user, if the config cannot be renewed; else "".

    Args:
        ledger: tells the guard process what to undo if this process is killed.
        archive: the agent's archive.
    """

    def __init__(self, ledger: Ledger, archive: Path, timeouts: Timeouts, clock: Clock) -> None:
        self._ledger, self._archive, self._timeouts, self._clock = ledger, archive, timeouts, clock
        self._stack = contextlib.ExitStack()
        self._directory: Path | None = None
        # True if the job may see the private directory. Then the agent's config is kept there.
        self._shared = True
        self._request: JobRequest | None = None
        self._renew_at = 0.0
        self.notice = ""

    def prepare(self, request: JobRequest, *, spooled: bool) -> tuple[Path, Path]:
        """Writes the files for the job. Returns two paths: a private directory, and the script that runs the agent.

        The directory is below XDG_STATE_HOME or the user's home, which the nodes usually share. It contains the agent's
        config. If no directory can be made there, it is made below the directory for temporary files, without a config.
        Then the agent gets its URL from the script, and this URL cannot be renewed.

        Args:
            spooled: True if Slurm stores a copy of the script, as sbatch does.
        """
        self._request = request
        try:
            return self._fill(_shared_directory(), spooled)
        except OSError as error:
            why = printable(f"{error.strerror}: {error.filename}" if error.filename else str(error))
        self._shared = False
        lifetime = f"{self._timeouts.url_lifetime / 60:.0f} min"
        self.notice = (
            f"mlogin: no directory for the job ({why}): its URL, if it is signed, is valid for {lifetime} only."
            " XDG_STATE_HOME names a directory that the nodes share"
        )
        return self._fill(None, spooled)

    def renew(self) -> None:
        """Renews the agent's config if it is time. Raises OSError or Failure."""
        if self._shared and self._request is not None and self._clock.monotonic() >= self._renew_at:
            self._write_config()

    def close(self) -> None:
        """Removes the private directory."""
        self._stack.close()

    def log_tail(self) -> list[str]:
        """Returns the last lines of the job's log; none if there is no log."""
        return [] if self._directory is None else processes.tail(self._directory / "job.log")

    def _fill(self, parent: Path | None, spooled: bool) -> tuple[Path, Path]:
        self._directory = self._stack.enter_context(self._ledger.private_directory(parent))
        if self._shared:
            self._write_config()
        return self._directory, self._write_script(self._directory, spooled=spooled)

    def _write_config(self) -> None:
        """Writes a new config for the agent. Replaces the old file atomically, because the job may be reading it."""
        assert self._request is not None
        assert self._directory is not None
        # Set before the URL is signed, so that a failure is not repeated at once: the ssh-agent may ask the user.
        self._renew_at = self._clock.monotonic() + self._timeouts.renewal_interval
        new = self._directory / "config.new"
        new.touch(0o600)
        new.write_text(json.dumps(self._request.config(self._timeouts.url_lifetime)))
        new.replace(self._directory / "config.json")

    def _write_script(self, directory: Path, *, spooled: bool) -> Path:
        """Writes the shell script that runs the agent. Returns its path.

        Args:
            directory: the private directory.
            spooled: True if Slurm stores a copy of the script. Then the script must be text, of at most
                MAX_SPOOLED_SCRIPT bytes. If the archive is binary or larger, the script runs a copy of the archive in
                `directory`.

        Raises:
            Failure: the archive has to be in `directory`, but the nodes do not share `directory`.
        """
        assert self._request is not None
        settings = self._request.variables(self._timeouts.url_lifetime)
        archive, lines = self._archive, []
        if self._request.embedded is not None:  # the job has the user's variables, also those that name a proxy
            lines.append(DIRECT)
        if self._shared:
            settings["MEDUSA_PLACE"] = str(directory)
            lines += _PROLOGUE
        data = archive.read_bytes()
        if spooled and (len(data) > MAX_SPOOLED_SCRIPT or b"\0" in data):
            if not self._shared:
                raise Failure("the archive is too large for Slurm, so the job needs a directory that the nodes share")
            (directory / "agent.sh").write_bytes(data)
            archive = Path(os.devnull)
            lines.append('exec sh "$MEDUSA_PLACE/agent.sh"')
        script = directory / "script"
        script.touch(0o600)
        script.write_bytes(with_settings(archive, settings, lines))
        return script


def _shared_directory() -> Path:
    """Makes the directory for the files of jobs, and returns its path. Raises OSError if that fails.

    It is below XDG_STATE_HOME or the user's home, which the nodes usually share.
    """
    state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    if not os.path.isabs(state):
        raise OSError(f"no home directory: {printable(state)}; set XDG_STATE_HOME to a directory that the nodes share")
    path = Path(state) / "medusa"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path
