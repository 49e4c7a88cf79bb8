"""Decides what to run, in which directory and environment, from the client's `start` and what this machine has."""

from __future__ import annotations

import locale
import os
import shutil
from dataclasses import dataclass, field
from typing import Callable, Dict, List, Mapping, Optional, Tuple

from medusa.protocol.control import Resize, Start
from medusa.protocol.terminal import modes
from medusa.protocol.terminal.environment import checked
from medusa.service_variables import is_service_variable

DEFAULT_COMMAND = ("/bin/bash", "--norc")
DEFAULT_TERM = "xterm"
DEFAULT_SIZE = Resize(columns=80, lines=25)
LAST_RESORT = "/bin/sh"

SECRET_PREFIX = "MEDUSA_"  # noqa: S105
"""The prefix of the variables that configure the agent. The command does not get them."""

PS1_IN_JOB = "\\[\\e[1m\\]${MANTA_USER}@manta # \\[\\e[0m\\]"
PS1_ELSEWHERE = "\\[\\e[1m\\]\\u@\\h:\\w\\$\\[\\e[0m\\] "
PS1_PLAIN = "${MANTA_USER:-job} $ "
"""The prompt for a shell that may not know bash's escapes."""

_CTRUN_WITH_VALUE = "Ffilor"
"""The letters of the options of ctrun(1) that take a value. Its options -t and -v take none."""
_BASH_WITH_VALUE = ("--rcfile", "--init-file")

Which = Callable[[str], Optional[str]]


def to_bytes(text: str) -> bytes:
    """Encodes a text for the kernel, in UTF-8. os.fsencode would depend on the locale, and a job may have none."""
    return text.encode("utf-8", "surrogateescape")


def to_text(data: bytes) -> str:
    """Decodes a text from the kernel: the inverse of `to_bytes`."""
    return data.decode("utf-8", "surrogateescape")


def which(program: str) -> Optional[str]:
    """Returns the path of the executable that `program` names, by the agent's own PATH; None if there is none."""
    found = shutil.which(to_bytes(program))
    return None if found is None else to_text(found)


class CannotStart(Exception):
    """The command cannot be started. The text is shown to the user."""


@dataclass(frozen=True)
class Launch:
    """A command that can be started on this machine.

    Attributes:
        argv: the program's path and its arguments.
        cwd: the directory to start it in.
        env: its environment.
        size: the initial size of its terminal.
        modes: the modes to set on its terminal, values by opcode.
        notes: one log line for each program that was replaced because this machine does not have it.
    """

    argv: Tuple[str, ...]
    cwd: str
    env: Dict[str, str]
    size: Resize
    notes: Tuple[str, ...] = ()
    modes: Mapping[int, int] = field(default_factory=dict)


def resolve(start: Start, early: Optional[Resize], environ: Mapping[str, str], which: Which = which) -> Launch:
    """Returns the Launch for the client's request `start`.

    Args:
        early: the last `resize` that the client sent before `start`, if any.
        environ: the agent's environment.
        which: returns the path of a program, or None.

    Raises:
        CannotStart: there is no such program or directory.
    """
    cwd = _directory(start.cwd)
    words = [start.command, *start.arguments] if start.command else [*DEFAULT_COMMAND, *start.arguments]
    argv, notes = _without_ctrun(words, which)
    argv[0], plain = _at(cwd, argv[0]), False
    if which(argv[0]) is None:
        argv, plain, note = _stand_in(argv, which)
        notes.append(note)
    env = _environment(start, environ, plain)
    size = merge_size(start.columns, start.lines, early)
    return Launch(tuple(argv), cwd, env, size, tuple(notes), modes.decode(start.modes or ""))


def merge_size(columns: Optional[int], lines: Optional[int], known: Optional[Resize]) -> Resize:
    """Returns a terminal's size. A value that is None or 0 is taken from `known`, or else from DEFAULT_SIZE.

    A terminal that does not know its size reports 0.
    """
    known = known or DEFAULT_SIZE
    return Resize(columns=columns or known.columns, lines=lines or known.lines)


def _directory(cwd: str) -> str:
    try:
        cwd = os.path.join(to_text(os.getcwdb()), cwd)
        os.stat(to_bytes(os.path.join(cwd, os.curdir)))  # with the dot, so that it fails for a file
    except OSError as error:
        raise CannotStart("cannot start in %s: %s" % (cwd or "the agent's directory", error.strerror)) from None
    if not os.access(to_bytes(cwd), os.X_OK):
        raise CannotStart("cannot start in %s: Permission denied" % cwd)
    return os.path.normpath(cwd)


def _at(cwd: str, program: str) -> str:
    # A relative path starts at the command's directory, not at the agent's.
    return os.path.join(cwd, program) if os.path.dirname(program) else program


def _without_ctrun(argv: List[str], which: Which) -> Tuple[List[str], List[str]]:
    """Returns the command without `ctrun` in front of it if this machine has no ctrun(1), and notes for the log.

    The original client always asks for ctrun, which puts its command into a contract. Only SmartOS has contracts.
    """
    if os.path.basename(argv[0]) != "ctrun" or which(argv[0]) is not None:
        return argv, []
    rest = argv[1:]
    while rest and rest[0].startswith("-") and rest[0] != "-":
        option = rest.pop(0)
        if option == "--":
            break
        if option[-1] in _CTRUN_WITH_VALUE and len(option) == 2:
            del rest[:1]
    if not rest:
        raise CannotStart("%s: no such program, and no command after its options" % argv[0])
    return rest, ["no %s here: running %s directly" % (argv[0], rest[0])]


def _stand_in(argv: List[str], which: Which) -> Tuple[List[str], bool, str]:
    """Returns what to run if the bash that the client asks for is missing: another bash, or sh without bash's options.

    Returns:
        The command, True if it is sh, and a line for the log.

    Raises:
        CannotStart: the command is not bash, or there is no shell.
    """
    if os.path.basename(argv[0]) != "bash":
        raise CannotStart("%s: not found or not executable" % argv[0])
    other = which("bash")
    if other is not None:
        return [other, *argv[1:]], False, "no %s here: running %s" % (argv[0], other)
    if which(LAST_RESORT) is None:
        raise CannotStart("%s: not found or not executable, and there is no %s" % (argv[0], LAST_RESORT))
    rest = argv[1:]
    while rest and rest[0].startswith("--"):
        option = rest.pop(0)
        if option in _BASH_WITH_VALUE:
            del rest[:1]
        if option == "--":
            break
    return [LAST_RESORT, *rest], True, "no bash here: running %s" % LAST_RESORT


def configures_agent(name: str, value: str) -> bool:
    """True if the variable configures the agent. The programs that the agent runs do not get such a variable."""
    return name.startswith(SECRET_PREFIX) and not is_service_variable(name, value)


def _environment(start: Start, environ: Mapping[str, str], plain: bool) -> Dict[str, str]:
    env = {name: value for name, value in environ.items() if not configures_agent(name, value)}
    for name in ("COLUMNS", "LINES"):  # programs would trust these variables even after a resize
        env.pop(name, None)
    env["TERM"] = start.term or DEFAULT_TERM
    env["PS1"] = PS1_PLAIN if plain else PS1_IN_JOB if env.get("MANTA_USER") else PS1_ELSEWHERE
    sent = _sent(start)
    env.update(sent)
    # In the C locale, and in one that is missing, bash edits UTF-8 text byte by byte.
    lacks = not env.get("LANG") or ("LANG" in sent and not _has_locale(sent["LANG"]))
    if lacks and not any(env.get(name) for name in ("LC_ALL", "LC_CTYPE")) and _has_locale("C.UTF-8"):
        env["LC_CTYPE"] = "C.UTF-8"
    return env


def _sent(start: Start) -> Dict[str, str]:
    """Returns the client's variables, except each LC_... with a locale that this machine lacks: bash would warn of it.

    An LC_... that the user gave by its full name is kept, even if this machine lacks its locale.
    """
    sent = checked(start.env or {}, start.named or ())
    checks = [name for name in sent if hasattr(locale, name) and name.startswith("LC_")]
    missing = {name for name in checks if name not in (start.named or ()) and not _has_locale(sent[name])}
    return {name: value for name, value in sent.items() if name not in missing}


def _has_locale(name: str) -> bool:
    """True if this machine has the locale `name`."""
    before = locale.setlocale(locale.LC_CTYPE)
    try:
        locale.setlocale(locale.LC_CTYPE, name)
    except (locale.Error, ValueError):
        return False
    locale.setlocale(locale.LC_CTYPE, before)
    return True
