"""Makes the key of the tickets' MACs: from a secret of all reflectors, from a file in --state-dir, or at random.

If the key is made at random, a restart of the reflector makes all tickets void.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import re
import secrets
import stat
from pathlib import Path

from medusa.reflector.config import ConfigError
from medusa.reflector.net.certificate import is_open_to_others

KEY_FILE = "ticket-key"
"""The name of the file with the key in --state-dir."""

_PURPOSE = b"medusa tickets 1"
_FORM = re.compile(rb"[0-9a-f]{64}\n\Z")
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def ticket_key(site_secret: bytes, state_dir: str | None) -> bytes:
    """Returns the key of the tickets' MACs: from `site_secret`, else from a file in `state_dir`, else at random.

    Args:
        site_secret: the secret that all reflectors which share a directory have; b"" if there is none.
        state_dir: the directory for what outlives the process; None if there is none.

    Raises:
        ConfigError: the directory, or the key in it, cannot be used.
    """
    if site_secret:
        return hmac.new(site_secret, _PURPOSE, hashlib.sha256).digest()
    if state_dir is not None:
        return hmac.new(_kept_secret(check_state_dir(state_dir)), _PURPOSE, hashlib.sha256).digest()
    return secrets.token_bytes(32)


def check_state_dir(path: str) -> Path:
    """Creates the directory `path` if it is missing, with mode 700. Returns its path.

    Raises:
        ConfigError: the directory cannot be created or used, or users other than its owner may write to it.
    """
    folder = Path(path)
    try:
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        mode = folder.stat().st_mode
        if not stat.S_ISDIR(mode):
            raise ConfigError("state-dir: %s is not a directory" % path)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise ConfigError("state-dir: %s: this process may not write there" % path)
    except OSError as error:
        raise ConfigError("state-dir: %s: %s" % (path, error.strerror)) from None
    if mode & _OTHERS_WRITE:
        raise ConfigError("state-dir: %s: others may write there; make its mode 700" % path)
    return folder


def _kept_secret(folder: Path) -> bytes:
    """Returns the secret in the file KEY_FILE of `folder`. Creates the file if it is missing. Raises ConfigError."""
    path = folder / KEY_FILE
    try:
        if not path.exists():
            _create(path)
        with open(path, "rb") as file:
            found, secret = os.fstat(file.fileno()), file.read(4096)
    except OSError as error:
        raise ConfigError("state-dir: %s: %s" % (path, error.strerror)) from None
    if is_open_to_others(found):
        raise ConfigError("state-dir: %s: others may read it; remove it, and a new one is made" % path)
    if not _FORM.match(secret):
        raise ConfigError("state-dir: %s is not the key of tickets; remove it, and a new one is made" % path)
    return secret


def _create(path: Path) -> None:
    """Creates the file `path` with a random secret, if it does not exist. No other process sees it unfinished.

    This is necessary because several workers may do this at the same time.
    """
    draft = path.with_name(".%s.%s" % (path.name, secrets.token_hex(8)))
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(fd, "wb") as file:
            file.write(secrets.token_hex(32).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):  # another worker was faster
            os.link(draft, path)
    finally:
        draft.unlink()
