"""Finds the code that nothing uses in the programs that agent_strip.py strips."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

SHARED = ("medusa/protocol/", "medusa/transports/")
"""The client and the reflector use these folders too, and some methods of the classes there are for them alone.

Elsewhere, methods may be called from outside the program: by argparse, or by the import system.
"""


def without_unused(sources: dict[Path, str], untyped: Callable[[str], str]) -> dict[Path, str]:
    """Returns `sources` without the functions, classes and constants at their tops whose names occur nowhere else.

    Does the same with the methods of classes in the folders SHARED. A name that a string consists of counts as used,
    and so does `main`.

    Args:
        sources: all files of the program.
        untyped: removes the types from a source, and keeps the lines.
    """
    trees = {path: ast.parse(untyped(source)) for path, source in sources.items()}
    unused = {(path, number): item for path, tree in trees.items() for number, item in enumerate(items(tree, path))}
    used = {"main"}
    while found := [place for place, item in unused.items() if used.issuperset(item[:2])]:
        for place in found:
            used.update(names(unused.pop(place)[2], place[0]))
    lines = {path: source.split("\n") for path, source in sources.items()}
    for (path, _), (_, _, item) in unused.items():
        blank(lines[path], item)
    return {path: "\n".join(left) for path, left in lines.items()}


def items(tree: ast.Module, path: Path) -> Iterator[tuple[str, str, ast.stmt]]:
    """Yields the statements of a module, and for each the two names that must be used so that the statement is needed.

    A class in the folders SHARED is cut into its methods and the rest of it. A method needs the name of its class too.
    """
    shared = any(folder in path.as_posix() for folder in SHARED)
    for item in tree.body:
        if shared and isinstance(item, ast.ClassDef):
            methods = [node for node in item.body if isinstance(node, ast.FunctionDef) and removable(node)]
            item.body = [node for node in item.body if node not in methods]
            yield from ((item.name, node.name, node) for node in methods)
        yield "main", removable(item) or "main", item


def removable(item: ast.stmt) -> str | None:
    """Returns the name that the statement gives to something, if that is all that it does, else None."""
    if isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        done = [node.func if isinstance(node, ast.Call) else node for node in item.decorator_list]
        plain = all(isinstance(node, ast.Name) and node.id in ("record", "property") for node in done)
        return item.name if plain and item.name[:2] != "__" else None
    target = item.targets[0] if isinstance(item, ast.Assign) and len(item.targets) == 1 else None
    if not isinstance(target, ast.Name) or (target.id[:2] == "__" and target.id != "__all__"):
        return None
    return target.id


def names(item: ast.stmt, path: Path) -> Iterator[str]:
    """Yields the names in the statement. An import at the top of a module does not use what it imports."""
    if isinstance(item, ast.ImportFrom) and path.name != "__init__.py":
        return
    for node in ast.walk(item):
        for field in ("id", "attr", "arg", "name", "value"):
            found = getattr(node, field, None)
            if isinstance(found, str):
                yield found


def without_type_checks(source: str) -> str:
    """Returns `source` without the statements that are there for type checkers.

    These are `if TYPE_CHECKING:` without an `else`, and `assert ... is not None`.
    """
    lines = source.split("\n")
    for node in ast.walk(ast.parse(source)):
        test = ast.unparse(node.test) if isinstance(node, (ast.If, ast.Assert)) else ""
        if isinstance(node, ast.If) and test == "TYPE_CHECKING" and not node.orelse:
            blank(lines, node)
        if isinstance(node, ast.Assert) and test.endswith(" is not None"):
            blank(lines, node)
    return "\n".join(lines)


def without_imports(source: str, untyped: str) -> str:
    """Returns `source` without the names that it imports at its top for types only.

    Call it for no file from which others import such names.

    Args:
        untyped: `source` without its types.
    """
    tree, lines = ast.parse(source), source.split("\n")
    used = set(evaluated(ast.parse(untyped)))
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module != "__future__":
            kept = [alias for alias in node.names if (alias.asname or alias.name) in used]
            if len(kept) < len(node.names):
                blank(lines, node)
                rest = ast.ImportFrom(node.module, kept, node.level)
                lines[node.lineno - 1] = ast.unparse(rest) if kept else ""
    return "\n".join(lines)


def without_methods(source: str, used: set[str]) -> str:
    """Returns `source` without the methods that nothing calls, neither those in `used` nor what these call.

    `used` are the names of the methods that other files call. It is for ptyprocess, of which the agent needs little.
    The constructor and __del__ go too: the agent's subclass of it has its own constructor, after which __del__ does
    nothing.
    """
    tree, lines = ast.parse(source), source.split("\n")
    methods = [item for node in tree.body if isinstance(node, ast.ClassDef) for item in node.body]
    functions = [item for item in methods if isinstance(item, ast.FunctionDef)]
    called: set[str] = set()
    more = set(used)
    while more - called:
        called |= more
        nodes = [node for item in functions if item.name in called for node in ast.walk(item)]
        more = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    for item in functions:
        if item.name not in called:
            lines[blank(lines, item)] = " " * item.col_offset + "pass"
    return "\n".join(lines)


def without_python2(source: str) -> str:
    """Returns `source` without what only Python 2 runs. It is for ptyprocess.

    That is the `else` of `if PY3`, and what follows `except ImportError`: Python 3 has all that is imported there.
    """
    lines = source.split("\n")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "PY3" and node.orelse:
            first, last = node.body[-1].end_lineno or 0, node.orelse[-1].end_lineno or 0
        elif isinstance(node, ast.Try) and all(isinstance(item, (ast.Import, ast.ImportFrom)) for item in node.body):
            lines[node.lineno - 1] = lines[node.lineno - 1].replace("try:", "if True:")
            first, last = node.body[-1].end_lineno or 0, node.handlers[-1].end_lineno or 0
        else:
            continue
        lines[first:last] = [""] * (last - first)
    return "\n".join(lines)


def blank(lines: list[str], item: ast.stmt) -> int:
    """Makes the lines of the statement empty. Returns the index of the first one."""
    decorators: list[ast.expr] = getattr(item, "decorator_list", [])
    first = min([item.lineno, *(node.lineno for node in decorators)]) - 1
    last = item.end_lineno or item.lineno
    lines[first:last] = [""] * (last - first)
    return first


def evaluated(tree: ast.AST) -> Iterator[str]:
    """Yields the names that the program looks up. Those in the types of fields are not: they stay texts."""
    for name, value in ast.iter_fields(tree):
        if name != "annotation":
            for node in value if isinstance(value, list) else [value]:
                if isinstance(node, ast.Name):
                    yield node.id
                elif isinstance(node, ast.AST):
                    yield from evaluated(node)
