"""Decides which program to run, and its directory and environment.

The decision depends on the client's message `start`, and on what this machine has.
"""

from __future__ import annotations

import os
from typing import Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from agent.command.encoding import to_bytes, to_text
from agent.command.environment import environment, prompt_of
from agent.command.login_shell import Login, login_of
from medusa.protocol.control import Resize, Start
from medusa.protocol.record import field, record
from medusa.protocol.terminal import modes

DEFAULT_COMMAND = ("/bin/bash", "--norc")
DEFAULT_SIZE = Resize(columns=80, lines=25)
LAST_RESORT = "/bin/sh"

_CTRUN_WITH_VALUE = "Ffilor"
"""The letters of the options of ctrun(1) that take a value. Its options -t and -v take none."""
_BASH_WITH_VALUE = ("--rcfile", "--init-file")

Which = Callable[[str], Optional[str]]


def which(program: str) -> Optional[str]:
    """Returns the path of the executable `program`, found by the agent's own PATH; None if there is none."""
    import shutil  # takes long to import

    found = shutil.which(to_bytes(program))
    return None if found is None else to_text(found)


NOT_FOUND, NOT_EXECUTABLE, CANNOT_START = "not-found", "not-executable", "cannot-start"
"""Codes of CannotStart. The client's exit status is 127 for the first, 126 for the second, and 255 for others."""


class CannotStart(Exception):
    """Raised if a command cannot be started. The text is shown to the user.

    Attributes:
        code: the reason as a word, such as NOT_FOUND. The client chooses its exit status by it.
    """

    def __init__(self, words: str, code: str = CANNOT_START) -> None:
        super().__init__(words)
        self.code = code


def unusable(program: str) -> CannotStart:
    """Returns the CannotStart to raise for a program that `which` does not find."""
    code = NOT_EXECUTABLE if os.path.exists(to_bytes(program)) else NOT_FOUND
    return CannotStart("%s: not found or not executable" % program, code)


@record
class Launch:
    """A command that can be started on this machine.

    Attributes:
        argv: the program's path and its arguments.
        cwd: the directory to start it in.
        env: its environment.
        size: the initial size of its terminal.
        modes: the modes to set on its terminal: the values by opcode.
        name: the name by which the program is called, its argv[0]; None for its path.
        notes: one log line for each program that was replaced because this machine does not have it.
        function: a function to call in the started process, in place of the program. Returns the exit status.
    """

    argv: Tuple[str, ...]
    cwd: str
    env: Dict[str, str]
    size: Resize
    notes: Tuple[str, ...] = ()
    modes: Mapping[int, int] = field(default_factory=dict)
    name: Optional[str] = None
    function: Optional[Callable[[], int]] = None


def resolve(
    start: Start,
    early: Optional[Resize],
    environ: Mapping[str, str],
    which: Which = which,
    login: Callable[[Mapping[str, str]], Login] = login_of,
) -> Launch:
    """Returns the command to start for the client's request `start`.

    Args:
        early: the last message `resize` (the size of the user's terminal) that the client sent before `start`; None if
            it sent none.
        environ: the agent's environment.
        which: a function that returns the path of a program, or None.
        login: a function that returns the login shell of the agent's user, and the variables of a login.

    Raises:
        CannotStart: there is no such program or directory.
    """
    cwd = directory(start.cwd)
    account: Mapping[str, str] = {}
    if start.login:
        shell, account, notes = login(environ)
        argv = [shell, *_after_norc(start.arguments)]
    else:
        words = [start.command, *start.arguments] if start.command else [*DEFAULT_COMMAND, *start.arguments]
        argv, notes = _without_ctrun(words, which)
    argv[0] = _at(cwd, argv[0])
    if which(argv[0]) is None:
        argv, note = _stand_in(argv, which)
        notes.append(note)
    if account:
        account = {**account, "SHELL": argv[0]}
    env = environment(start, environ, prompt_of(argv[0], environ), account)
    size = merge_size(start.columns, start.lines, early)
    name = "-" + os.path.basename(argv[0]) if start.login else None
    return Launch(tuple(argv), cwd, env, size, tuple(notes), modes.decode(start.modes or ""), name)


def _after_norc(arguments: Sequence[str]) -> Sequence[str]:
    """Returns the arguments of bash without a `--norc` at their front.

    Clients send `--norc` for older agents, which start bash and not the user's login shell.
    """
    return arguments[1:] if arguments[:1] == ("--norc",) else arguments


def merge_size(columns: Optional[int], lines: Optional[int], known: Optional[Resize]) -> Resize:
    """Returns a terminal's size. A value that is None or 0 is taken from `known`, or else from DEFAULT_SIZE.

    A terminal that does not know its size reports 0.
    """
    known = known or DEFAULT_SIZE
    return Resize(columns=columns or known.columns, lines=lines or known.lines)


def directory(cwd: str) -> str:
    """Returns the directory in which to start a command. `cwd`: its path, from the agent's own directory on.

    Raises:
        CannotStart: there is no such directory, or it cannot be entered.
    """
    try:
        cwd = os.path.join(to_text(os.getcwdb()), cwd)
        os.stat(to_bytes(os.path.join(cwd, os.curdir)))  # with `.` at the end, so that stat fails for a file
    except OSError as error:
        raise CannotStart("cannot start in %s: %s" % (cwd or "the agent's directory", error.strerror)) from None
    if not os.access(to_bytes(cwd), os.X_OK):
        raise CannotStart("cannot start in %s: Permission denied" % cwd)
    return os.path.normpath(cwd)


def in_home(cwd: str) -> str:
    """Returns the path `cwd` with the user's home directory in the place of `~` at its front.

    `~` alone counts as "", the agent's directory, if there is no home directory, as in containers.
    """
    if cwd != "~" and not cwd.startswith("~/"):
        return cwd
    home = os.path.expanduser(to_bytes(cwd))
    return "" if cwd == "~" and not os.access(os.path.join(home, b"."), os.X_OK) else to_text(home)


def _at(cwd: str, program: str) -> str:
    # A relative path starts at the command's directory, not at the agent's.
    return os.path.join(cwd, program) if os.path.dirname(program) else program


def _without_ctrun(argv: List[str], which: Which) -> Tuple[List[str], List[str]]:
    """Removes `ctrun` and its options from the front of a command, if this machine has no ctrun(1).

    The original client always asks for ctrun, which runs its command in a contract (a group of processes). Only SmartOS
    has contracts.

    Returns:
        The command, and a list with a line for the log. The list is empty if nothing was removed.

    Raises:
        CannotStart: no command follows the options of `ctrun`.
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
        raise CannotStart("%s: no such program, and no command after its options" % argv[0], NOT_FOUND)
    return rest, ["no %s here: running %s directly" % (argv[0], rest[0])]


def _stand_in(argv: List[str], which: Which) -> Tuple[List[str], str]:
    """Replaces the program of a command, because this machine does not have it. Only a bash is replaced.

    Takes the bash that is on PATH. If there is none, takes sh, and leaves out the options of bash.

    Returns:
        The new command, and a line for the log.

    Raises:
        CannotStart: the program is not bash, or there is no shell.
    """
    if os.path.basename(argv[0]) != "bash":
        raise unusable(argv[0])
    other = which("bash")
    if other is not None:
        return [other, *argv[1:]], "no %s here: running %s" % (argv[0], other)
    if which(LAST_RESORT) is None:
        raise CannotStart("%s: not found or not executable, and there is no %s" % (argv[0], LAST_RESORT), NOT_FOUND)
    rest = argv[1:]
    while rest and rest[0].startswith("--"):
        option = rest.pop(0)
        if option in _BASH_WITH_VALUE:
            del rest[:1]
        if option == "--":
            break
    return [LAST_RESORT, *rest], "no bash here: running %s" % LAST_RESORT
