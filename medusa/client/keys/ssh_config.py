"""Reads what the user's ssh_config says about keys for a host. ssh itself reads the file, by `ssh -G HOST`."""

from __future__ import annotations

import getpass
import os
import pwd
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from medusa.protocol.printable import printable
from medusa.protocol.record import record

TIMEOUT = 5.0
"""Seconds for `ssh -G`, which may run commands of the user's ssh_config (`Match exec`)."""

MAX_OUTPUT = 256 * 1024
"""The maximum number of bytes of the output of `ssh -G` that are used."""

STANDARD_FILES = ("~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa")
"""The key files that ssh tries if its configuration names none, without kinds of keys that cannot sign requests.

mlogin tries them in this order, which is not that of ssh.
"""

_HOST = re.compile(r"[A-Za-z0-9_.:%\[\]][A-Za-z0-9_.:%\[\]-]*")
_KINDS = ("rsa", "ecdsa", "ecdsa_sk", "ed25519", "ed25519_sk", "xmss", "dsa")
_OF_SSH = {f"~/.ssh/id_{kind}" for kind in _KINDS}
"""The key files that `ssh -G` prints if the configuration names none."""


@record
class KeyOptions:
    """The options of ssh_config for keys.

    Attributes:
        agent: the path of the ssh-agent's socket; None if no ssh-agent is to be used.
        agent_name: words for messages: where `agent` was found, or why there is no ssh-agent.
        files: the paths of the files with keys, in the order in which they are to be tried.
        identities_only: True if a key of the ssh-agent is to be used only if it is also in one of `files`.
    """

    agent: str | None
    agent_name: str = "SSH_AUTH_SOCK"
    files: tuple[Path, ...] = ()
    identities_only: bool = False


def read(host: str | None) -> KeyOptions:
    """Returns the options that ssh_config has for `host`.

    If `host` is None, or if `ssh -G` gives no answer, returns the defaults of ssh.
    """
    return interpret(_ask_ssh(host) if host and _HOST.fullmatch(host) else "", os.environ)


def interpret(output: str, environ: Mapping[str, str]) -> KeyOptions:
    """Returns the options in `output`, a text that `ssh -G` has printed. If `output` is "", returns ssh's defaults.

    `environ`: the environment variables, which may name the ssh-agent's socket.
    """
    pairs = [(key, value) for key, _, value in (line.partition(" ") for line in output.splitlines())]
    options = dict(pairs)
    agent, name = _agent(options.get("identityagent", "$SSH_AUTH_SOCK"), environ)
    named = [value for key, value in pairs if key == "identityfile" and value not in _OF_SSH]
    paths = [Path(os.path.expanduser(_expanded(file, options))) for file in (*named, *STANDARD_FILES)]
    return KeyOptions(agent, name, tuple(dict.fromkeys(paths)), options.get("identitiesonly") == "yes")


def _agent(wanted: str, environ: Mapping[str, str]) -> tuple[str | None, str]:
    """Returns two values for KeyOptions: `agent` and `agent_name`. `wanted`: the value of the option IdentityAgent."""
    if wanted == "none":
        return None, "IdentityAgent in ssh_config is none"
    if wanted == "SSH_AUTH_SOCK" or wanted.startswith("$"):
        name = wanted.strip("${}")
        return (environ[name], name) if environ.get(name) else (None, f"{name} is not set")
    path = _below_home(wanted, environ)
    return path, f"{printable(path)}, the IdentityAgent of ssh_config,"


def _ask_ssh(host: str) -> str:
    """Returns the output of `ssh -G` for `host`; "" if ssh is missing, fails, or takes too long."""
    command = ["ssh", "-G", *_config_file(), "--", host]
    try:
        run = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=TIMEOUT,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return run.stdout[:MAX_OUTPUT].decode("utf-8", "surrogateescape")


def _config_file() -> list[str]:
    """Returns arguments for ssh that make it read the ssh_config in the directory HOME.

    Without them, ssh reads the ssh_config in the home directory that /etc/passwd names. Returns no arguments if HOME is
    that directory.
    """
    home = os.environ.get("HOME")
    if not home or home == _passwd_home():
        return []
    path = os.path.join(home, ".ssh", "config")
    return ["-F", path if os.path.isfile(path) else "none"]


def _below_home(path: str, environ: Mapping[str, str]) -> str:
    """Replaces the home directory of /etc/passwd at the start of `path` by HOME, and returns the new path.

    This is needed because `ssh -G` replaces `~` by the home directory of /etc/passwd.
    """
    home, other = environ.get("HOME"), _passwd_home()
    return home + path[len(other) :] if home and other and path.startswith(other + "/") else path


def _passwd_home() -> str:
    """Returns the user's home directory according to /etc/passwd; "" if the user is not in /etc/passwd."""
    try:
        return pwd.getpwuid(os.getuid()).pw_dir.rstrip("/")
    except KeyError:
        return ""


def _expanded(file: str, options: Mapping[str, str]) -> str:
    """Replaces the usual tokens of ssh in `file`, such as %d, by their values. Returns the result.

    `file`: a value of the option IdentityFile. `options`: the options that `ssh -G` has printed.
    """
    values = {
        "%%": "%",
        "%d": os.path.expanduser("~"),
        "%h": options.get("hostname", ""),
        "%i": str(os.getuid()),
        "%r": options.get("user", ""),
        "%u": getpass.getuser() if "%u" in file else "",
    }
    return re.sub(r"%.", lambda token: values.get(token[0], token[0]), file)
