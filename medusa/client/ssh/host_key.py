"""The host key of the user's own, which `medusa ssh-proxy` shows to the user's ssh client, and where it is kept."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from medusa.client.outcome import Failure
from medusa.protocol.printable import printable

HOSTS = "*.medusa"
"""The hosts that have this key, as a pattern of ssh."""

_KEY, _KNOWN = "ssh_host_ed25519_key", "known_hosts"


class HostKey(NamedTuple):
    """The host key.

    Attributes:
        private: the private key, in OpenSSH's format.
        public: the public key, as in a line of known_hosts: `ssh-ed25519 AAAA...`.
        known_hosts: the file that tells ssh that HOSTS have this key.
    """

    private: bytes
    public: str
    known_hosts: Path


def state_directory(environ: Mapping[str, str] = os.environ) -> Path:
    """Returns the directory in which this user's programs keep what they need again. It may not exist."""
    base = environ.get("XDG_STATE_HOME", "")
    return Path(base if os.path.isabs(base) else os.path.expanduser("~/.local/state"), "medusa")


def host_key(directory: Path | None = None) -> HostKey:
    """Returns the user's host key, which is made at the first call. Several processes may do so at once.

    Raises:
        Failure: it cannot be read or made, or others can read it.
    """
    directory = state_directory() if directory is None else directory
    path = directory / _KEY
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _make(path)
        private = _read(path)
        public = _public(private)
        known = directory / _KNOWN
        _write_known(known, f"{HOSTS} {public}\n")
    except OSError as error:
        words = f"the host key for ssh cannot be kept: {printable(str(error.filename or path))}: {error.strerror}"
        raise Failure(f"{words}\n  XDG_STATE_HOME names another directory") from None
    except (ValueError, UnsupportedAlgorithm):
        words = f"{printable(str(path))} is no ed25519 key without a passphrase"
        raise Failure(f"{words}; remove it, and a new one is made") from None
    return HostKey(private, public, known)


def _make(path: Path) -> None:
    """Makes the key, unless another process does so first."""
    formats = (serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption())
    data = Ed25519PrivateKey.generate().private_bytes(*formats)
    own = _write_beside(path, data)
    try:
        with contextlib.suppress(FileExistsError):
            os.link(own, path)
    finally:
        own.unlink()


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise Failure(f"{printable(str(path))} is open to other users; `chmod 600` closes it")
        return file.read(1 << 16)


def _public(private: bytes) -> str:
    key = serialization.load_ssh_private_key(private, None)
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("another kind of key")
    formats = (serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return key.public_key().public_bytes(*formats).decode()


def _write_known(path: Path, line: str) -> None:
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if path.read_text() == line:
            return
    _write_beside(path, line.encode()).replace(path)


def _write_beside(path: Path, data: bytes) -> Path:
    """Writes `data` to a new file in the directory of `path`, which only this user can read. Returns its path."""
    own = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    fd = os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(fd, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(fd)
    return own
