"""Blocks for ~/.ssh/config: their text, and a file of their own that the user's config includes."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from medusa.client.outcome import Failure
from medusa.protocol.printable import printable

ANY = "*.medusa"
"""The host of the block for all sessions, whose names ssh passes on."""

OWN = "medusa_config"
"""The file of the blocks, beside the user's config."""

LONGEST_WAIT = 86_400
"""Seconds that ssh waits for a job. Other clients that read the config of ssh do not know the value `none`."""

_HEAD = "# Written by `medusa ssh-config --write`, which replaces the blocks of the hosts that it is given.\n"

_OURS = " ssh-proxy "
"""What blocks have that this program has written."""

_INCLUDE = re.compile(rb"\s*include[\s=](?:.*[/\s\"=])?" + OWN.encode() + rb"[\s\"]*$", re.IGNORECASE)
_CONDITION = re.compile(rb"\s*(?:host|match)[\s=]", re.IGNORECASE)

_CIPHERS = "aes128-gcm@openssh.com,aes256-gcm@openssh.com,aes128-ctr,aes256-ctr"


def block(host: str, command: Sequence[str], known_hosts: Path, *, waits: bool = False) -> str:
    """Returns the block of one host.

    Args:
        host: its name, or a pattern.
        command: the program that ssh runs for it, with its arguments. `%h` stands for the host's name.
        known_hosts: the file with the host key.
        waits: True if the program may wait for a job, so that ssh must not give up before.
    """
    line = " ".join(word if word == "%h" else shlex.quote(word).replace("%", "%%") for word in command)
    known = str(known_hosts).replace("%", "%%")
    return "\n".join(
        [
            f"Host {host}",
            f"    ProxyCommand {line}",
            f'    UserKnownHostsFile "{known}"',
            "    GlobalKnownHostsFile /dev/null",
            "    StrictHostKeyChecking yes",
            "    CheckHostIP no",
            "    UpdateHostKeys no",
            "    ForwardAgent no",
            "    ForwardX11 no",
            f"    Ciphers {_CIPHERS}",
            *([f"    ConnectTimeout {LONGEST_WAIT}"] if waits else []),
            "",
        ]
    )


def install(blocks: Mapping[str, str], ssh: Path, *, only: bool) -> list[Path]:
    """Writes blocks, by host, to a file of their own, and one line into the user's config, which includes that file.

    Both files are replaced as a whole, so that ssh never reads half of one. Nothing else in the config changes.

    Args:
        ssh: the directory of the user's files for ssh.
        only: True to drop the blocks of all other hosts; the block of ANY stays, and what the user has added.

    Returns:
        The files that have changed.

    Raises:
        Failure: a file cannot be read or written.
    """
    own = ssh / OWN
    try:
        ssh.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(ssh):
            old = _blocks(own.read_text("utf-8", "surrogateescape")) if own.exists() else {}
            kept = {host: text for host, text in old.items() if not only or host == ANY or _OURS not in text}
            found = {**kept, **blocks}
            hosts = sorted(found, key=lambda host: host == ANY)  # ssh takes the first value that fits
            text = _HEAD + "".join(f"\n{found[host]}" for host in hosts)
            new = text.encode("utf-8", "surrogateescape")
            return [path for path, content in ((own, new), (ssh / "config", None)) if _change(path, content, own)]
    except OSError as error:
        raise Failure(f"cannot write {printable(str(error.filename or own))}: {error.strerror}") from None


def _change(path: Path, new: bytes | None, own: Path) -> bool:
    """Makes `new` the content of the file; None: adds the line that includes `own`. Returns True if it has changed."""
    path = path.resolve()  # a link stays one
    old = path.read_bytes() if path.exists() else None
    content = _including(old or b"", own) if new is None else new
    if content == old:
        return False
    mode = path.stat().st_mode & 0o777 if old is not None else 0o600
    beside = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(fd, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(fd, mode)
            os.fsync(fd)
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
    return True


def _including(config: bytes, own: Path) -> bytes:
    """Returns the user's config with a line at its beginning that includes `own`, unless it has one already."""
    for line in config.splitlines():
        if _CONDITION.match(line):  # what follows holds for some hosts only
            break
        if _INCLUDE.match(line):
            return config
    return f'Include "{own}"\n'.encode() + config


def _blocks(text: str) -> dict[str, str]:
    """Returns the blocks of a file that `install` has written, by host."""
    found = {}
    for part in re.split(r"^(?=Host )", text, flags=re.MULTILINE)[1:]:
        host = part.partition("\n")[0].removeprefix("Host ").strip()
        found[host] = part.rstrip("\n") + "\n"
    return found


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Context manager: no other process is in such a block for the same directory."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
