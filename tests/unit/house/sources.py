"""The files that the rules of this project are about, and the texts in them."""

from __future__ import annotations

import ast
import functools
import subprocess
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[3]

PLACES = ("agent/", "bench/", "docs/", "medusa/", "scripts/", "tests/", "CHANGELOG.md", "CONTRIBUTING.md", "README.md")


def tracked() -> list[Path]:
    """What git has, and what it would take with the next commit."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [path for name in names.split("\0") if name and (path := ROOT / name).is_file()]


def tracked_sources(*suffixes: str) -> list[Path]:
    return [path for path in tracked() if path.suffix in suffixes]


def modules(folder: str) -> set[str]:
    """The names of the modules and packages right below `folder`, private ones and the package itself left out."""
    found = {path.stem for path in (ROOT / folder).iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    return {f"{folder.replace('/', '.')}.{name}" for name in found - {"__init__"}}


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def packages() -> list[Path]:
    """The packages of the product, by their `__init__.py`."""
    return [
        path for path in tracked() if path.name == "__init__.py" and relative(path).startswith(("agent/", "medusa/"))
    ]


class Outline(NamedTuple):
    """What the rules need of one Python file, all with lines."""

    docstrings: list[tuple[int, str]]
    """The strings that stand alone as statements: docstrings, and texts below constants."""
    functions: list[tuple[int, str, int]]
    """The functions, with their names and their numbers of lines."""
    assigned: list[tuple[int, str]]
    """The plain names that something is assigned to."""


@functools.cache
def outline(path: Path) -> Outline:
    """Reads a Python file. Several tests ask for it, and to parse all files takes seconds."""
    found = Outline([], [], [])
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            found.functions.append((node.lineno, node.name, (node.end_lineno or 0) - node.lineno + 1))
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.assigned.append((node.lineno, node.id))
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            found.docstrings.append((node.lineno, node.value.value))
    return found


@functools.cache
def texts(path: Path) -> list[tuple[int, str]]:
    """The lines and texts of a file's comments and docstrings; of a document or script, all of it."""
    source = path.read_text()
    if path.suffix != ".py":
        return [(1, source)]
    tokens = tokenize.generate_tokens(iter(source.splitlines(keepends=True)).__next__)
    comments = [(token.start[0], token.string.lstrip("# ")) for token in tokens if token.type == tokenize.COMMENT]
    return [*comments, *outline(path).docstrings]


def prose(*suffixes: str) -> Iterator[tuple[Path, int, str]]:
    """The texts of all files with these suffixes, with the lines where they begin."""
    for path in tracked_sources(*suffixes):
        if relative(path).startswith(PLACES):
            yield from ((path, line, text) for line, text in texts(path))
