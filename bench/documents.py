"""Writes the figures into README.md and docs/benchmark.md, between two marks. A test reads them back."""

from __future__ import annotations

from pathlib import Path

from bench.results import Result
from bench.toolchain import HERE

ROOT = HERE.parent
BEGIN = "<!-- figures: `python -m bench --readme` writes them -->\n"
END = "<!-- end of figures -->\n"


def figures(result: Result) -> dict[str, str]:
    """Returns the text between the marks of each document, by the document's path from the root."""
    return {"README.md": result.summary(), "docs/benchmark.md": result.markdown()}


def write(result: Result, root: Path = ROOT) -> list[Path]:
    """Writes the figures into the documents below `root`. Returns the paths of the documents.

    Raises:
        ValueError: a document has no marks.
    """
    written = []
    for name, text in figures(result).items():
        path = root / name
        before, _, after = _parts(path)
        path.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")
        written.append(path)
    return written


def quoted(name: str, root: Path = ROOT) -> str:
    """Returns the text between the marks of the document `name`. Raises ValueError if a mark is missing."""
    return _parts(root / name)[1].strip("\n") + "\n"


def _parts(path: Path) -> tuple[str, str, str]:
    """Returns three parts of a document: the text before the marks, between them and after them."""
    before, begin, rest = path.read_text().partition(BEGIN)
    between, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{path} has no lines {BEGIN.strip()} and {END.strip()}")
    return before, between, after
