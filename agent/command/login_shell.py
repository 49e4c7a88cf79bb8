"""Finds the login shell of the agent's user, in the same way as sshd and login(1)."""

from __future__ import annotations

import os
import pwd
from typing import Dict, List, Mapping, NamedTuple, Optional

FALLBACK = "/bin/bash"
"""The shell to use if the user's account names no shell, or one that this machine does not have."""

NO_SHELLS = ("false", "halt", "nologin", "shutdown", "sync")
"""Programs that accounts of services name as their login shell, although they are not shells."""


class Login(NamedTuple):
    """The login shell and the variables that a login of the user sets.

    Attributes:
        shell: the path of the login shell. It may be missing on this machine.
        variables: HOME, USER and LOGNAME, and SHELL with the value of `shell`.
        notes: lines for the log.
    """

    shell: str
    variables: Mapping[str, str]
    notes: List[str]


def login_of(environ: Mapping[str, str], entry: Optional[pwd.struct_passwd] = None) -> Login:
    """Returns the Login of the agent's user.

    Args:
        environ: the agent's environment. SHELL is used if the user has no account on this machine, as in containers.
        entry: the user's account; None to look up the account of this process's user.
    """
    entry = entry or account()
    shell = (entry.pw_shell or "/bin/sh") if entry else environ.get("SHELL") or FALLBACK
    variables: Dict[str, str] = {}
    if entry:
        variables = {"HOME": entry.pw_dir or "/", "USER": entry.pw_name, "LOGNAME": entry.pw_name}
    notes = []
    if os.path.basename(shell) in NO_SHELLS or not os.path.isabs(shell):
        notes.append("the login shell %s is none: running %s" % (shell, FALLBACK))
        shell = FALLBACK
    elif not os.access(shell, os.X_OK):
        notes.append("the login shell %s is missing here: running %s" % (shell, FALLBACK))
        shell = FALLBACK
    return Login(shell, {**variables, "SHELL": shell}, notes)


def account() -> Optional[pwd.struct_passwd]:
    """Returns the account of this process's user; None if it has none on this machine, as in containers."""
    try:
        return pwd.getpwuid(os.getuid())
    except KeyError:
        return None
