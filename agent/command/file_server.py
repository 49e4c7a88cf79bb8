"""Decides which SFTP server to start: the one of this machine, or the agent's own."""

from __future__ import annotations

from typing import Any, Callable, Mapping, Optional

from agent.command.environment import configures_agent
from agent.command.login_shell import account
from agent.command.resolve import DEFAULT_SIZE, Launch, directory, in_home, which

VARIABLE = "MEDUSA_SFTP_SERVER"
"""The variable that names the SFTP server to start. If it is empty, the agent's own one is started."""

PLACES = (
    "/usr/lib/openssh/sftp-server",
    "/usr/libexec/openssh/sftp-server",
    "/usr/lib/ssh/sftp-server",
    "/usr/libexec/sftp-server",
    "/usr/local/libexec/sftp-server",
    "sftp-server",
)
"""Where systems have OpenSSH's SFTP server. The last one is looked for by PATH."""


def resolve_files(fields: Mapping[str, Any], environ: Mapping[str, str], own: Callable[[], int]) -> Launch:
    """Returns the SFTP server to start for a channel that the client opens.

    Args:
        fields: the fields of the client's OPEN. `cwd` is where relative paths begin; `~` is the user's home
            directory. `own` asks for the agent's own server.
        environ: the agent's environment.
        own: the agent's own server: a function that returns the exit status.

    Raises:
        CannotStart: there is no such directory.
    """
    cwd = directory(in_home(fields["cwd"]))
    found = _server(environ, own_wanted=fields["own"])
    if found is None:
        return Launch(("the agent's own SFTP server",), cwd, {}, DEFAULT_SIZE, function=own)
    env = {name: value for name, value in environ.items() if not configures_agent(name, value)}
    return Launch((found,), cwd, env, DEFAULT_SIZE)


def _server(environ: Mapping[str, str], *, own_wanted: bool) -> Optional[str]:
    if VARIABLE in environ:
        return environ[VARIABLE] or None
    if own_wanted or account() is None:  # OpenSSH's server does not run for a user without an account, as in containers
        return None
    return next((found for place in PLACES for found in [which(place)] if found), None)
