"""The stand-in's settings and directories."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """
    Attributes:
        root: the directory of everything; see the properties.
        tls: serve by TLS, with the tests' own certificate.
        reflector_url: of the reflector to which muskie forwards connections, `http://HOST:PORT`.
        front_door: attach requests are forwarded to this URL (http or https) byte for byte, instead of to muskie.
        idle_limit: seconds without a byte read or written after which muskie destroys a socket.
    """

    root: Path
    tls: bool = False
    reflector_url: str = ""
    front_door: str = ""
    idle_limit: float = 30.0

    @property
    def objects(self) -> Path:
        """The file of an object has the object's path below this directory."""
        return self.root / "objects"

    @property
    def keys(self) -> Path:
        return self.root / "keys"

    @property
    def zones(self) -> Path:
        """Directories that running tasks see as their own."""
        return self.root / "zones"
