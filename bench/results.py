"""The result of one run of the benchmark, as text and Markdown. Saves it in files below results/, and reads them."""

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
"""The name of the run that the documents quote. Git ignores the other files in DIRECTORY."""

SUMMARY = (
    "connect, first output of a command",
    "output of a command through pipes",
    "output on a terminal",
    "output after ^C, slow terminal",
    "a key and its echo, p50",
)
"""The titles of the five figures that README shows."""


@dataclass(frozen=True)
class Result:
    """The result of a benchmark: the tables, the machine on which they were measured, and notes for the readers."""

    machine: dict[str, str]
    notes: list[str]
    tables: list[Table] = field(default_factory=list)

    def text(self) -> str:
        """Returns the whole result as text for a terminal."""
        width = max(map(len, self.machine), default=0)
        facts = "\n".join(f"{name:{width}}  {fact}" for name, fact in self.machine.items())
        return "\n\n".join([facts, *(table.text() for table in self.tables), "\n".join(self.notes)]) + "\n"

    def markdown(self) -> str:
        """Returns the whole result in Markdown, for docs/benchmark.md."""
        facts = ", ".join(f"{name} {fact}" for name, fact in self.machine.items() if fact != "absent")
        notes = [f"Measured on: {facts}.", "In brackets: the ratio to the relay that has none.", *self.notes]
        items = "\n".join(textwrap.fill(f"- {note}", 120, subsequent_indent="  ") for note in notes)
        picture = f"![The same figures as a picture](../bench/results/{LATEST}.png)"
        return "\n\n".join([*(table.markdown() for table in self.tables), items, picture]) + "\n"

    def summary(self) -> str:
        """Returns the figures of SUMMARY in Markdown, for README: the lines of each table that has some of them.

        Returns an empty text if no table has any.
        """
        return "\n".join(
            f"{dataclasses.replace(table, lines=lines).markdown()}\n\n"
            f"In brackets: the ratio to {table.yardstick}. v: less is better.\n"
            for table in self.tables
            if (lines := [line for title in SUMMARY for line in table.lines if line.figure.title == title])
        )


def save(result: Result, records: Any, directory: Path, name: str) -> list[Path]:
    """Writes a result into two files, as text and as JSON. Returns their paths.

    Args:
        records: what the load generator printed. It is added to the JSON unless it is None.
        directory: the directory of the files. It is created if it is missing.
        name: the name of the files, without a suffix.
    """
    directory.mkdir(parents=True, exist_ok=True)
    text, data = (directory / f"{name}{suffix}" for suffix in (".txt", ".json"))
    text.write_text(result.text())
    data.write_text(json.dumps(dataclasses.asdict(result) | ({"records": records} if records else {}), indent=1) + "\n")
    return [text, data]


def draw(directory: Path, name: str) -> Path:
    """Draws the picture of a saved result. Returns its path. Raises Unavailable if matplotlib is missing."""
    require_package("matplotlib")
    data, picture = (directory.resolve() / f"{name}{suffix}" for suffix in (".json", ".png"))
    subprocess.run([sys.executable, "-m", "bench.plot", str(data), str(picture)], check=True, cwd=HERE.parent)
    return picture


def load(directory: Path) -> Result:
    """Reads the result that was saved as LATEST. Raises Unavailable if there is none."""
    path = directory / f"{LATEST}.json"
    if not path.exists():
        raise Unavailable(f"{path} is not there: run `python -m bench --keep` on a quiet machine first")
    record = json.loads(path.read_text())
    return Result(record["machine"], record["notes"], [from_json(table) for table in record["tables"]])


def stamp() -> str:
    """Returns a name for the files of this run: the time in UTC."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
