"""What one run of the benchmark found: shown, kept under results/, and read back for README."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.report import Table, from_json
from bench.toolchain import HERE, Unavailable, require_package

DIRECTORY = HERE / "results"
LATEST = "latest"
"""The name of the run that README quotes; what else is in DIRECTORY is not in the repository."""


@dataclass(frozen=True)
class Result:
    """The tables, with what they were measured on and what has to be said of them."""

    machine: dict[str, str]
    notes: list[str]
    tables: list[Table] = field(default_factory=list)

    def text(self) -> str:
        """For a terminal."""
        width = max(map(len, self.machine), default=0)
        facts = "\n".join(f"{name:{width}}  {fact}" for name, fact in self.machine.items())
        return "\n\n".join([facts, *(table.text() for table in self.tables), "\n".join(self.notes)]) + "\n"

    def markdown(self) -> str:
        """For README."""
        facts = ", ".join(f"{name} {fact}" for name, fact in self.machine.items() if fact != "absent")
        notes = [f"Measured on: {facts}.", "In brackets: the ratio to the relay that has none.", *self.notes]
        items = "\n".join(textwrap.fill(f"- {note}", 120, subsequent_indent="  ") for note in notes)
        picture = f"![The same as a picture](bench/results/{LATEST}.png)"
        return "\n\n".join([*(table.markdown() for table in self.tables), items, picture]) + "\n"


def save(result: Result, records: Any, directory: Path, name: str) -> list[Path]:
    """Writes the text, and the JSON with `records`, if any; returns their paths."""
    directory.mkdir(parents=True, exist_ok=True)
    text, data = (directory / f"{name}{suffix}" for suffix in (".txt", ".json"))
    text.write_text(result.text())
    data.write_text(json.dumps(dataclasses.asdict(result) | ({"records": records} if records else {}), indent=1) + "\n")
    return [text, data]


def draw(directory: Path, name: str) -> Path:
    """Makes the picture of what was saved; returns its path. Raises Unavailable without matplotlib."""
    require_package("matplotlib")
    data, picture = (directory.resolve() / f"{name}{suffix}" for suffix in (".json", ".png"))
    subprocess.run([sys.executable, "-m", "bench.plot", str(data), str(picture)], check=True, cwd=HERE.parent)
    return picture


def load(directory: Path) -> Result:
    """What was saved as the latest; raises Unavailable if there is none."""
    path = directory / f"{LATEST}.json"
    if not path.exists():
        raise Unavailable(f"{path} is not there: run `python -m bench --keep` on a quiet machine first")
    record = json.loads(path.read_text())
    return Result(record["machine"], record["notes"], [from_json(table) for table in record["tables"]])


def stamp() -> str:
    """A name for a run, by the time in UTC."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
