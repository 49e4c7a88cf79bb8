"""Finds the session of a profile, or starts one: a job that goes on after the connection, as by `mlogin -d`."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import subprocess
import sys
import urllib.parse
from collections.abc import Callable, Iterator, Sequence

from medusa.client.outcome import Failure, Interrupted
from medusa.client.queries import local
from medusa.client.queries.meaning import can_be_joined
from medusa.client.ssh.host_key import state_directory
from medusa.client.terminal.signals import Signals
from medusa.commands.own_sessions.options import Access
from medusa.protocol.printable import printable

_START = "import sys; from medusa.commands.mlogin import main; sys.exit(main())"


def session_for(profile: str, name: str, found: Access, options: Sequence[str], tell: Callable[[str], None]) -> str:
    """Returns the id of the profile's session, which is started if there is none. Waits for its job.

    Args:
        name: the name that the session has, or gets.
        options: what mlogin is told in addition.
        tell: shows the user a line.

    Raises:
        Failure: there is no session, and none could be started; mlogin has said why.
        Interrupted: a signal asked this program to end, or the ssh client has gone.
    """
    with Signals() as signals, _locked(profile, signals, tell):
        session = _running(name, found)
        if session is None:
            tell(f"starting a session with the profile {printable(profile)}")
            session = _started([profile, "-d", "--name", name, *options], signals)
    return session


def _running(name: str, found: Access) -> str | None:
    """Returns the oldest session of this name that can be joined; None if there is none. Raises Failure."""
    entries = list(local.sessions())
    if found.reflector is not None:
        from medusa.client.queries.joining import own_entries  # takes long to import
        from medusa.commands.own_sessions.asking import asked

        entries += own_entries(*asked(found))[0]
    named = [entry for entry in entries if entry.get("name") == name and can_be_joined(entry)]
    return str(min(named, key=lambda entry: float(entry.get("created") or 0))["id"]) if named else None


def _started(arguments: Sequence[str], signals: Signals) -> str:
    """Starts a session by mlogin, whose words are shown. Returns its id after its agent is there."""
    command = [sys.executable, "-c", _START, *arguments]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as mlogin:
        assert mlogin.stdout is not None
        try:
            said = _read_all(mlogin.stdout.fileno(), signals)
        except Interrupted:
            mlogin.terminate()  # it ends its job
            raise
        status = mlogin.wait()
    words = said.decode("utf-8", "replace").split()
    if status != 0 or words[:1] != ["session"]:
        raise Failure(f"no session was started (mlogin has returned {status})")
    return words[1]


def _read_all(fd: int, signals: Signals) -> bytes:
    """Returns all that comes from `fd`. Raises Interrupted if a signal or the end of the ssh client comes first."""
    said = b""
    poll = select.poll()
    for watched, events in ((fd, select.POLLIN), (signals.fileno(), select.POLLIN), (0, 0)):
        poll.register(watched, events)
    while True:
        ready = dict(poll.poll())
        signals.take_or_raise()
        if 0 in ready:  # nobody writes to standard input any more
            raise Interrupted(signal.SIGHUP)
        if fd in ready:
            data = os.read(fd, 4096)
            if not data:
                return said
            said += data


@contextlib.contextmanager
def _locked(profile: str, signals: Signals, tell: Callable[[str], None]) -> Iterator[None]:
    """Context manager: no other process of this user on this machine is in such a block for the profile."""
    directory = state_directory()
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = directory / f"profile-{urllib.parse.quote(profile, safe='')}.lock"
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Failure(f"cannot lock {printable(str(error.filename))}: {error.strerror}") from None
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell(f"waiting for another connection, which starts a session with the profile {printable(profile)}")
            with signals.interruptible():
                fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
