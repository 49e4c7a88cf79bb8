"""Removes docstrings, comments and types from Python files, in place. They would be half of the archive's size.

`agent_strip.py PATH...`: a file, or a directory with a whole program, from which unused code is removed too.

Their lines stay, but empty, so that a traceback from a job has the line numbers of the source; not those of ptyprocess,
of which only the lines with code are kept. Lines are indented by one space for each four, and there are no other spaces
than those between two words. Each field of a class has the type `int`, because records and named tuples are made from
fields that have one. No other type is left, so that `from __future__ import annotations` goes too. The members of an
enum.Enum are numbered in place of the texts that describe them.
"""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from agent_unused import without_imports, without_methods, without_python2, without_type_checks, without_unused  # type: ignore[import-not-found]


def strip(source: str) -> str:
    """Returns `source` without docstrings, comments, types, and most of its spaces.

    Raises:
        ValueError: this would change the program.
    """
    lines = without_types(source).split("\n")
    source = "\n".join(lines)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column].rstrip()
    for first, last, alone in texts(ast.parse(source)):
        indent = lines[first][: len(lines[first]) - len(lines[first].lstrip())]
        lines[first : last + 1] = [indent + "pass" if alone else ""] + [""] * (last - first)
    stripped = spaced_less(indented_less("\n".join(lines).rstrip("\n") + "\n"))
    if shape(stripped) != shape(source):
        raise ValueError("stripping would change the program")
    return stripped


def without_types(source: str) -> str:
    """Returns `source` without the types of arguments, results and variables. The type of a field becomes int.

    The description of each member of an enum.Enum becomes a number.
    """
    lines = source.encode("utf-8").split(b"\n")  # the positions of ast are in bytes
    for first, last, text in sorted(types(ast.parse(source), lines), reverse=True):
        kept = [lines[first[0]][: first[1]] + text, *[b""] * (last[0] - first[0] - 1), lines[last[0]][last[1] :]]
        lines[first[0] : last[0] + 1] = kept if last[0] > first[0] else [kept[0] + kept[-1]]
    return b"\n".join(lines).decode("utf-8")


Position = tuple[int, int]
"""A line and a byte in it, both counted from 0."""


def types(tree: ast.AST, lines: list[bytes]) -> Iterator[tuple[Position, Position, bytes]]:
    """Finds the types that nothing needs, with the colon or the arrow in front of them.

    Yields for each: its start, its end, and what is to be in its place.
    """
    fields = {item for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for item in node.body}
    for node in ast.walk(tree):
        found = None
        if isinstance(node, ast.arg) and node.annotation is not None:
            start = (node.lineno - 1, node.col_offset + len(node.arg.encode("utf-8")))
            found = start, node.annotation
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.returns is not None:
            row, column = node.returns.lineno - 1, node.returns.col_offset
            found = (row, lines[row].rindex(b" ->", 0, column)), node.returns
        elif isinstance(node, ast.AnnAssign) and node.value is not None and node not in fields:
            found = end_of(node.target), node.annotation
        for number, text in enumerate(descriptions(node)):
            yield (text.lineno - 1, text.col_offset), end_of(text), b"%d" % number
        if found is not None:
            yield found[0], end_of(found[1]), b""
        elif isinstance(node, ast.AnnAssign) and node in fields:
            yield end_of(node.target), end_of(node.annotation), b": int"
        elif isinstance(node, ast.ImportFrom) and node.module == "__future__":
            yield (node.lineno - 1, node.col_offset), end_of(node), b""


def descriptions(node: ast.AST) -> list[ast.Constant]:
    """Returns the texts that are the values of the members, if `node` is the class of an enum.Enum."""
    if not isinstance(node, ast.ClassDef) or [ast.unparse(base) for base in node.bases] != ["enum.Enum"]:
        return []
    values = [item.value for item in node.body if isinstance(item, ast.Assign)]
    return [value for value in values if isinstance(value, ast.Constant) and isinstance(value.value, str)]


def end_of(node: ast.expr | ast.stmt) -> Position:
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    return node.end_lineno - 1, node.end_col_offset


def indented_less(source: str) -> str:
    """Returns `source` with a quarter of its indentation, except within strings of several lines."""
    within: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Constant, ast.JoinedStr)):
            within.update(range(node.lineno, node.end_lineno or 0))  # all its lines but the first, counted from 0
    lines = source.split("\n")
    spaces = [len(line) - len(line.lstrip(" ")) for line in lines]
    return "\n".join(
        line if row in within else line[space - (space + 3) // 4 :]
        for row, (line, space) in enumerate(zip(lines, spaces, strict=True))
    )


def spaced_less(source: str) -> str:
    """Returns `source` without the spaces between tokens that separate no words."""
    lines = source.split("\n")
    cuts: list[tuple[int, int, int]] = []
    end, formatted = (0, 0), False
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        row, column = token.start
        formatted = (formatted or token.type == FORMATTED[0]) and token.type != FORMATTED[1]
        if row == end[0] and column > end[1] and not formatted:
            before, after = lines[row - 1][end[1] - 1], lines[row - 1][column]
            if not (is_word(before) and is_word(after)):
                cuts.append((row - 1, end[1], column))
        end = token.end
    for index, first, last in reversed(cuts):
        lines[index] = lines[index][:first] + lines[index][last:]
    return "\n".join(lines)


FORMATTED = getattr(tokenize, "FSTRING_START", None), getattr(tokenize, "FSTRING_END", None)
"""The types of the tokens between which the tokens of a formatted string lie, since Python 3.12."""


def is_word(character: str) -> bool:
    return character.isalnum() or character == "_"


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
    """Returns the syntax tree without docstrings and types, as a text. Two programs with the same shape do the same."""
    tree = Untyped().visit(ast.parse(source))
    for node in ast.walk(tree):
        if has_body(node):
            body: list[ast.AST] = [item for item in node.body if not is_text(item)]  # type: ignore[attr-defined]
            node.body = [item for item in body if not isinstance(item, ast.Pass)]  # type: ignore[attr-defined]
    return ast.dump(tree, include_attributes=False)


class Untyped(ast.NodeTransformer):
    """Removes the types that `types` finds from a syntax tree, and numbers the members of each enum.Enum."""

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        return node if node.module != "__future__" else ast.Pass()

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        for number, text in enumerate(descriptions(node)):
            text.value = number
        fields = [item for item in node.body if isinstance(item, ast.AnnAssign)]
        for item in fields:
            item.annotation = ast.Name("int", ast.Load())
        node.body = [item if item in fields else self.visit(item) for item in node.body]
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if node.value is None:
            return node
        return ast.Assign([node.target], node.value, lineno=node.lineno, col_offset=node.col_offset)


def strip_files(paths: list[Path], whole: bool) -> None:
    """Strips the Python files, in place. whole: they are all files of the program."""
    sources = {path: path.read_text(encoding="utf-8") for path in paths}
    for path in paths:
        if path.parts[-2] == "ptyprocess":
            sources[path] = without_python2(sources[path])
        if path.parts[-2:] == ("ptyprocess", "ptyprocess.py"):
            sources[path] = without_methods(sources[path], {"spawn"})
    sources = {path: without_type_checks(source) for path, source in sources.items()}
    if whole:
        sources = without_unused(sources, without_types)
    for path, source in sources.items():
        used = source if path.name == "__init__.py" else without_imports(source, without_types(source))
        stripped = strip(used)
        # Nobody here looks for an error in a line of another project's file.
        path.write_text(without_blanks(stripped) if path.parts[-2] == "ptyprocess" else stripped, encoding="utf-8")


def without_blanks(source: str) -> str:
    """Returns `source` without its empty lines and without each `pass` before another one."""
    lines = [line for line in source.split("\n") if line.strip()]
    kept = [line for line, after in zip(lines, [*lines[1:], ""], strict=True) if not (line == after == " pass")]
    without = "\n".join(kept) + "\n"
    if shape(without) != shape(source):
        raise ValueError("stripping would change the program")
    return without


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:]):
        strip_files(sorted(path.rglob("*.py")) if path.is_dir() else [path], path.is_dir())
