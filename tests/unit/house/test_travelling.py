"""What travels in the agent's archive runs on Python 3.8. `make lint` runs vermin, which does not see all of it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.house.sources import ROOT, relative

BUILT_IN_TYPES = {"dict", "frozenset", "list", "set", "tuple", "type"}


def travelling() -> list[Path]:
    """The Python files of this repository that the agent's archive is made of."""
    names = ["scripts/agent_boot.py", *(ROOT / "scripts" / "agent.manifest").read_text().splitlines()]
    return [ROOT / name for name in names if not name.startswith("ptyprocess/")]


def later_types(node: ast.AST) -> Iterator[int]:
    """The lines that evaluate `list[int]` or `X | None`, which vermin does not see; annotations are never evaluated."""
    for name, value in ast.iter_fields(node):
        if name not in ("annotation", "returns"):
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from later_types(child)
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id in BUILT_IN_TYPES:
        yield node.lineno
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        sides = [node.left, node.right]
        if any(isinstance(side, ast.Constant) and side.value is None for side in sides):
            yield node.lineno


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("X = list[int]", [1]),
        ("X = int | None", [1]),
        ("class A(dict[str, int]):\n    pass", [1]),
        ("def f(x: list[int], *, y: int | None = None) -> dict[str, int]:\n    z: set[int] = set()\n    return {}", []),
        ("flags = 1 | 2\nitems = {}\nitems[0] = 1", []),
    ],
)
def test_types_that_python_3_8_cannot_evaluate_are_found(source: str, lines: list[int]) -> None:
    assert list(later_types(ast.parse(source))) == lines


def test_what_travels_evaluates_no_later_type() -> None:
    found = [f"{relative(path)}:{line}" for path in travelling() for line in later_types(ast.parse(path.read_text()))]
    assert found == []
