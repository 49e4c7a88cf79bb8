"""What a test can ask of the stand-in, and where it keeps things; shared by both of its processes."""

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
        reflector_url: of the reflector that muskie passes connections on to, `http://HOST:PORT`.
        front_door: attach requests go on to this URL (http or https) byte for byte, instead of to muskie.
        idle_limit: seconds without a byte read or written after which muskie destroys a socket.
        max_skew: seconds that a Date header may be off.
    """

    root: str
    tls: bool = False
    reflector_url: str = ""
    front_door: str = ""
    idle_limit: float = 30.0
    max_skew: float = 300.0

    @classmethod
    def parse(cls, text: str) -> Settings:
        return cls(**json.loads(text))

    def text(self) -> str:
        return json.dumps(asdict(self))

    @property
    def objects(self) -> Path:
        """`/login/stor/name` is the file of that name below."""
        return Path(self.root) / "objects"

    @property
    def keys(self) -> Path:
        return Path(self.root) / "keys"

    @property
    def jobs(self) -> Path:
        """A file `<id>.json` for each job, what `live/status` says and more, written anew when anything changes."""
        return Path(self.root) / "jobs"

    @property
    def hold(self) -> Path:
        """While this file exists, jobs stay queued."""
        return Path(self.root) / "hold"

    @property
    def zones(self) -> Path:
        """What running tasks see as their own."""
        return Path(self.root) / "zones"
