"""The first Python code of the archive: checks and unpacks the payload, and calls agent/archived.py.

The stub is the shell script at the front of the archive. It passes this code to Python as a text. Then sys.argv is -c,
the path of the archive, and the words of the user.
The code contains no single quote, because it stands between single quotes in a shell script. mkshar.sh fills in the
digest and the payload.
"""

from __future__ import annotations

import base64
import hashlib
import os
import signal
import sys
import zlib
from typing import Any, Dict, Iterable, List

DIGEST = "@DIGEST@"
PAYLOAD = """
@PAYLOAD@
"""
SAFE = str.maketrans(",./:[]", "$`!%&~")
"""Maps the characters of the payload that replace those of base85 (RFC 1924) which a shell could read as its own."""
ENTRY = "agent/archived.py"

CODE = """import os; boot = os.environ.pop("MEDUSA_BOOT"); exec(boot)"""
"""The code with which the stub starts Python. `boot` is the text of this file."""

HIDDEN = "MEDUSA_HIDDEN"
"""The variable that `hide` sets when it starts this program a second time.

It holds the descriptor of the pipe to read from, and the signals that the job has blocked.
"""
SHOWN = (b"MEDUSA_SELF", b"MEDUSA_LC_CTYPE", b"MEDUSA_IGNORED", b"MEDUSA_LIBRARY_PATH")
"""The variables of the stub (shell script). They hold no secrets, so `hide` leaves them in the environment."""
FAULTS = (signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL)


def block() -> List[int]:
    """Blocks all signals, so that none ends the agent before it has its handlers.

    Returns the signals that were blocked before.
    """
    return list(map(int, signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals().difference(FAULTS))))


def hide(command: List[str], first: int, boot: str, blocked: List[int]) -> List[int]:
    """Hides the secrets of the agent from other processes.

    Every program of the same user can read the arguments and the variables with which a process was started. So this
    function starts this program a second time, by exec, without the variables of the agent and the options of `wrap`.
    It writes these into a pipe. The second start calls this function too: then it reads the pipe, and sets the
    variables and arguments again.

    Args:
        command: the program and the arguments that are not in sys.argv.
        first: the index in sys.argv of the first word of the user.
        boot: the text for MEDUSA_BOOT, if the second start needs it.
        blocked: the signals that the job has blocked.

    Returns:
        The signals that the job has blocked.
    """
    given = os.environ.pop(HIDDEN, None)
    if given is not None:
        fd, *job = map(int, given.split())
        restore(fd, first)
        return job
    first += 1
    words = wrap_options(sys.argv[first - 1 :])
    names = [name for name in os.environb if name.startswith(b"MEDUSA_") and name not in SHOWN]
    parts = [name + b"=" + os.environb[name] for name in names] + [b"=" + os.fsencode(word) for word in words]
    if parts:
        shown = {name: value for name, value in os.environb.items() if name not in names}
        shown.update({b"MEDUSA_BOOT": boot.encode()} if boot else {})
        again(command + sys.argv[1:first] + sys.argv[first + len(words) :], shown, b"\0".join(parts), blocked)
    return blocked


def wrap_options(words: List[str]) -> List[str]:
    return words[1 : words.index("--")] if words[:1] == ["wrap"] and "--" in words else []


def again(argv: List[str], environ: Dict[bytes, bytes], data: bytes, blocked: Iterable[int]) -> None:
    """Executes this program again. Returns only if that fails: the session can begin all the same."""
    try:
        reader, writer = os.pipe()
    except OSError:
        return
    try:
        os.set_blocking(writer, False)
        if os.write(writer, data) == len(data):
            os.set_inheritable(reader, True)
            environ[HIDDEN.encode()] = " ".join(map(str, [reader, *blocked])).encode()
            os.execve(argv[0], argv, environ)
    except OSError:
        pass
    finally:
        os.close(reader)
        os.close(writer)


def restore(fd: int, first: int) -> None:
    """Reads from the pipe what `hide` has hidden."""
    with open(fd, "rb") as pipe:
        parts = pipe.read().split(b"\0")
    words = [os.fsdecode(part[1:]) for part in parts if part.startswith(b"=")]
    sys.argv[first + 1 : first + 1] = words
    for part in parts:
        name, _, value = part.partition(b"=")
        if name:
            os.environb[name] = value


def files() -> Dict[str, bytes]:
    """Unpacks the payload (see agent_payload.py). Returns the contents of its files by path.

    Exits with status 126 if the payload is damaged.
    """
    try:
        packed = base64.b85decode("".join(PAYLOAD.split()).translate(SAFE))
    except ValueError:
        packed = b""
    if hashlib.sha256(packed).hexdigest() != DIGEST:
        sys.stderr.write("medusa agent: the payload is damaged\n")
        sys.exit(126)
    names, _, data = zlib.decompress(packed).partition(b"\n\n")
    found, at = {}, 0
    for line in names.decode().split("\n"):
        size, name = line.split(" ", 1)
        found[name] = data[at : at + int(size)]
        at += int(size)
    return found


def run(found: Dict[str, bytes], blocked: List[int]) -> int:
    scope: Dict[str, Any] = {"__name__": "agent.archived"}
    exec(compile(found[ENTRY], "agent.sh/" + ENTRY, "exec", dont_inherit=True), scope)  # noqa: S102
    status: int = scope["main"](found, sys.argv[1:], blocked)
    return status


if __name__ == "__main__":
    blocked_by_job = hide([sys.executable, "-I", "-S", "-B", "-c", CODE], 2, globals()["boot"], block())
    sys.exit(run(files(), blocked_by_job))
