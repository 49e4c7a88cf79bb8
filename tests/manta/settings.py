"""The stand-in's settings and directories, shared by the test's process and its own."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
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

    root: str
    tls: bool = False
    reflector_url: str = ""
    front_door: str = ""
    idle_limit: float = 30.0

    @classmethod
    def parse(cls, text: str) -> Settings:
        return cls(**json.loads(text))

    def text(self) -> str:
        return json.dumps(asdict(self))

    @property
    def objects(self) -> Path:
        """The file of an object has the object's path below this directory."""
        return Path(self.root) / "objects"

    @property
    def keys(self) -> Path:
        return Path(self.root) / "keys"

    @property
    def jobs(self) -> Path:
        """A file `<id>.json` for each job, with the answer to `live/status` and more, written at every change."""
        return Path(self.root) / "jobs"

    @property
    def hold(self) -> Path:
        """While this file exists, jobs stay queued."""
        return Path(self.root) / "hold"

    @property
    def zones(self) -> Path:
        """Directories that running tasks see as their own."""
        return Path(self.root) / "zones"
