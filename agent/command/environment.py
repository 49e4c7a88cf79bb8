"""Builds the environment of the command."""

from __future__ import annotations

import locale
import os
from typing import Dict, Mapping, Optional

from medusa.protocol.control import Start
from medusa.protocol.terminal.environment import checked
from medusa.service_variables import is_service_variable

DEFAULT_TERM = "xterm"

SECRET_PREFIX = "MEDUSA_"  # noqa: S105
"""The prefix of the variables that configure the agent. The command does not get them."""

PS1_IN_JOB = "\\[\\e[1m\\]${MANTA_USER}@manta # \\[\\e[0m\\]"
PS1_ELSEWHERE = "\\[\\e[1m\\]\\u@\\h:\\w\\$\\[\\e[0m\\] "
PS1_PLAIN = "${MANTA_USER:-job} $ "
"""The prompt for a shell that possibly does not know bash's escapes."""

POSIX_SHELLS = ("sh", "ash", "busybox", "dash", "ksh", "ksh93", "mksh", "yash")
OTHER_SHELLS = ("csh", "elvish", "fish", "nu", "pwsh", "tcsh", "xonsh", "zsh")
"""Shells whose prompts are written in another form than in bash and in POSIX shells."""

Account = Mapping[str, str]
"""The values of variables that describe a user's account, such as HOME, by the name of the variable."""


def configures_agent(name: str, value: str) -> bool:
    """True if the variable configures the agent. The programs that the agent runs do not get such a variable."""
    return name.startswith(SECRET_PREFIX) and not is_service_variable(name, value)


def environment(start: Start, environ: Mapping[str, str], prompt: Optional[str], account: Account) -> Dict[str, str]:
    """Returns the environment of the command.

    Args:
        start: the client's request. Its variables become part of the result.
        environ: the agent's environment.
        prompt: the value of PS1; None to set no PS1 (if the shell's prompts have another form than in POSIX shells).
        account: the variables that a login sets, such as HOME. SHELL is always taken from here. The others are taken
            from here only if `environ` does not have them.
    """
    env = {name: value for name, value in environ.items() if not configures_agent(name, value)}
    for name in ("COLUMNS", "LINES", "PS1"):  # programs would trust the first two even after a resize
        env.pop(name, None)
    env = {**account, **env, **{name: account[name] for name in ("SHELL",) if name in account}}
    env["TERM"] = start.term or DEFAULT_TERM
    if prompt is not None:
        env["PS1"] = prompt
    sent = _sent(start)
    env.update(sent)
    # In the C locale, and in one that is missing, bash edits UTF-8 text byte by byte.
    lacks = not env.get("LANG") or ("LANG" in sent and not _has_locale(sent["LANG"]))
    if lacks and not any(env.get(name) for name in ("LC_ALL", "LC_CTYPE")) and _has_locale("C.UTF-8"):
        env["LC_CTYPE"] = "C.UTF-8"
    return env


def prompt_of(program: str, environ: Mapping[str, str]) -> Optional[str]:
    """Returns the value of PS1, the prompt, for the shell at the path `program`.

    Returns None if this shell's prompts have another form than in POSIX shells.
    """
    name = os.path.basename(program)
    if name in POSIX_SHELLS:
        return PS1_PLAIN
    if name in OTHER_SHELLS:
        return None
    return PS1_IN_JOB if environ.get("MANTA_USER") else PS1_ELSEWHERE


def _sent(start: Start) -> Dict[str, str]:
    """Returns the variables that the client sent, without LC_... variables whose locale this machine does not have.

    bash would write a warning about such a locale. An LC_... variable is always kept if the user has asked for it by
    its full name, and not by a pattern such as LC_*.
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
