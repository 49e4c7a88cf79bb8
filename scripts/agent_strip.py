"""Removes docstrings and comments from Python files, in place. They would be a quarter of the archive's size.

Their lines stay, but empty, so that a traceback from a job has the line numbers of the source.
"""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path


def strip(source: str) -> str:
    """Returns `source` without docstrings and comments. Raises ValueError if the program would change."""
    lines = source.split("\n")
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column].rstrip()
    for first, last, alone in texts(ast.parse(source)):
        indent = lines[first][: len(lines[first]) - len(lines[first].lstrip())]
        lines[first : last + 1] = [indent + "pass" if alone else ""] + [""] * (last - first)
    stripped = "\n".join(lines).rstrip("\n") + "\n"
    if shape(stripped) != shape(source):
        raise ValueError("stripping would change the program")
    return stripped


def texts(tree: ast.AST) -> Iterator[tuple[int, int, bool]]:
    """Finds the statements that are only a string.

    Yields for each: its first line and its last line, counted from 0, and True if a `pass` must replace it, because the
    function or class has no other statement.
    """
    for node in ast.walk(tree):
        body = node.body if has_body(node) else []  # type: ignore[attr-defined]
        found = [item for item in body if is_text(item)]
        for item in found:
            yield item.lineno - 1, (item.end_lineno or item.lineno) - 1, len(found) == len(body) and item is found[0]


def has_body(node: ast.AST) -> bool:
    return isinstance(getattr(node, "body", None), list)


def is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def shape(source: str) -> str:
    """Returns the syntax tree without docstrings, as a text. Two programs with the same shape do the same."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if has_body(node):
            body: list[ast.AST] = [item for item in node.body if not is_text(item)]  # type: ignore[attr-defined]
            node.body = [item for item in body if not isinstance(item, ast.Pass)]  # type: ignore[attr-defined]
    return ast.dump(tree, include_attributes=False)


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:]):
        path.write_text(strip(path.read_text(encoding="utf-8")), encoding="utf-8")
