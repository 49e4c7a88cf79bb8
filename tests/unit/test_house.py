"""Rules of this project that no linter checks: sizes, complete contracts, what travels, documents, no workplace."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from importlinter import configuration
from importlinter.application.use_cases import read_user_options

ROOT = Path(__file__).resolve().parents[2]

MAX_FILE = 450
MAX_FUNCTION = 60
"""Lines. What is longer has more than one duty."""

OLDEST_PYTHON = "3.8"
"""Of the jobs that the agent's archive runs in."""

WORKPLACE = ["/" + "work/", "../" + "shared"]
"""Paths of the machines that this project is made on; they mean nothing to its readers."""

BUILT_IN_TYPES = {"dict", "frozenset", "list", "set", "tuple", "type"}


MAX_FILES = 9
"""Files of a package, besides `__init__`: as many as a reader takes in at one look."""

MAX_WIDTH = 120
"""Characters in a line of a document. Lines of tables and lines with links may be longer."""

PLACES = ("agent/", "bench/", "docs/", "medusa/", "scripts/", "tests/", "CHANGELOG.md", "CONTRIBUTING.md", "README.md")

NO_TIME = re.compile(r"(?:^|_)(?:PATIENCE|LOOKS?|AGAIN|PAUSES?|PERIODS?|SETTLE)(?:_|$)")
"""Names that do not say which time is meant: TIMEOUT, INTERVAL and GRACE do (CONTRIBUTING)."""

IDIOMS = re.compile(
    r"""
    \b(?:as|behind|by|for|from|of|than|to|with)\ who\b(?!\ (?:is|are|may|owns)\b)  # "who" as a noun
    | \bwhoever\b
    | (?:^|[.;:]\ )Who\ \w+\b[^?]*$                                                  # "Who dials is ..."
    | \bin\ vain\b
    | \bas\ ever\b
    """,
    re.VERBOSE | re.MULTILINE,
)
"""What a reader has to read twice."""

AS_ANOTHER = re.compile(r"As (?:`|\w+[,.])")
"""A docstring that starts so says what another thing does, not what this one does."""


def tracked() -> list[Path]:
    """What git has, and what it would take with the next commit."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [path for name in names.split("\0") if name and (path := ROOT / name).is_file()]


def tracked_sources(*suffixes: str) -> list[Path]:
    return [path for path in tracked() if path.suffix in suffixes]


def travelling() -> list[Path]:
    """The Python files of this repository that the agent's archive is made of."""
    names = ["scripts/agent_boot.py", *(ROOT / "scripts" / "agent.manifest").read_text().splitlines()]
    return [ROOT / name for name in names if not name.startswith("ptyprocess/")]


def contracts() -> dict[str, dict[str, Any]]:
    """The import contracts of pyproject.toml by their ids."""
    configuration.configure()
    options = read_user_options(str(ROOT / "pyproject.toml"))
    return {contract["id"]: contract for contract in options.contracts_options}


def modules(folder: str) -> set[str]:
    """The names of the modules and packages right below `folder`, private ones and the package itself left out."""
    found = {path.stem for path in (ROOT / folder).iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    return {f"{folder.replace('/', '.')}.{name}" for name in found - {"__init__"}}


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))


def test_no_file_is_too_long() -> None:
    sizes = {relative(path): len(path.read_text().splitlines()) for path in tracked_sources(".py", ".sh")}
    assert {name: size for name, size in sizes.items() if size > MAX_FILE} == {}


def test_no_function_is_too_long() -> None:
    long = {
        f"{relative(path)}:{function.lineno} {function.name}": size
        for path in tracked_sources(".py")
        for function in functions(ast.parse(path.read_text()))
        if (size := (function.end_lineno or 0) - function.lineno + 1) > MAX_FUNCTION
    }
    assert long == {}


def packages() -> list[Path]:
    """The packages of the product, by their `__init__.py`."""
    return [
        path for path in tracked() if path.name == "__init__.py" and relative(path).startswith(("agent/", "medusa/"))
    ]


def listed(init: Path) -> list[str]:
    """The names in the docstring's list: lines of a name, two or more spaces, and what it is for."""
    return re.findall(r"^ *(\w+) {2,}\S", ast.get_docstring(ast.parse(init.read_text())) or "", re.MULTILINE)


def members(folder: Path) -> set[str]:
    """Modules and packages in `folder`. `__init__` has the list; `__main__`, and files in C, need not stand in it."""
    return {name.rpartition(".")[2] for name in modules(relative(folder))} - {"__main__"}


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """The lines and texts of a file's comments and docstrings; of a document or script, all of it."""
    source = path.read_text()
    if path.suffix != ".py":
        yield 1, source
        return
    for token in tokenize.generate_tokens(iter(source.splitlines(keepends=True)).__next__):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string.lstrip("# ")
    yield from docstrings(ast.parse(source))


def docstrings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The strings that stand alone as statements: docstrings, and texts below constants."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, node.value.value


def prose(*suffixes: str) -> Iterator[tuple[Path, int, str]]:
    for path in tracked_sources(*suffixes):
        if relative(path).startswith(PLACES):
            yield from ((path, line, text) for line, text in texts(path))


@pytest.mark.parametrize("init", packages(), ids=lambda path: str(path.parent.relative_to(ROOT)))
def test_a_package_lists_its_files(init: Path) -> None:
    names, files = listed(init), {path.name.partition(".")[0] for path in init.parent.iterdir()}
    assert members(init.parent) - set(names) == set()
    assert set(names) - files == set()
    assert len(names) == len(set(names))


def test_no_folder_is_too_wide() -> None:
    sizes = {relative(init.parent): len([*init.parent.glob("*.py")]) - 1 for init in packages()}
    assert {name: size for name, size in sizes.items() if size > MAX_FILES} == {}


def test_no_line_of_a_document_is_too_wide() -> None:
    wide = [
        f"{relative(path)}:{number}"
        for path in tracked_sources(".md")
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if len(line) > MAX_WIDTH and not line.lstrip().startswith("|") and "](" not in line
    ]
    assert wide == []


def test_the_name_of_a_time_says_what_it_is() -> None:
    found = [
        f"{relative(path)}:{node.lineno} {node.id}"
        for path in tracked_sources(".py")
        if relative(path).startswith(("agent/", "medusa/"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and NO_TIME.search(node.id)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("text", "odd"),
    [
        ("A place for who reads.", True),
        ("Kept; whoever asks gets it.", True),
        ("Who dials is not the owner.", True),
        ("It waits in vain.", True),
        ("A table of who may see what. Who is it?", False),
        ("The peer that dials, as every peer does.", False),
    ],
)
def test_idioms_are_found(text: str, odd: bool) -> None:
    assert bool(IDIOMS.search(text)) is odd


def test_no_sentence_has_to_be_read_twice() -> None:
    found = [
        f"{relative(path)}:{line + text.count(chr(10), 0, match.start())}: {match[0].strip()[:50]}"
        for path, line, text in prose(".c", ".js", ".md", ".py", ".sh")
        for match in IDIOMS.finditer(text)
    ]
    assert found == []


def test_a_docstring_says_what_its_own_subject_does() -> None:
    found = [f"{relative(path)}:{line}" for path, line, text in prose(".py") if AS_ANOTHER.match(text)]
    assert found == []


DIVIDED = ("agent", "medusa.client", "medusa.client.launchers", "medusa.commands", "medusa.reflector")
"""Packages with sub-packages whose order a contract states."""


def layered() -> set[str]:
    """The full names in all contracts that state an order."""
    found: set[str] = set()
    for contract in contracts().values():
        if contract["type"] == "layers":
            names = {name.strip(" ()") for layer in contract["layers"] for name in re.split("[|:]", layer)}
            found |= {f"{container}.{name}" for container in contract.get("containers", []) for name in names} or names
    return found


@pytest.mark.parametrize("package", DIVIDED)
def test_a_contract_orders_the_folders(package: str) -> None:
    folder = ROOT / package.replace(".", "/")
    folders = {f"{package}.{path.parent.name}" for path in folder.glob("*/__init__.py")}
    assert folders - layered() == set()


def test_every_module_has_its_floor() -> None:
    floors = {name.strip() for floor in contracts()["floors"]["layers"] for name in floor.split("|")}
    assert modules("medusa") <= floors


def test_every_module_is_kept_from_gevent_or_allowed_to_use_it() -> None:
    contract = contracts()
    kept = set(contract["no-gevent"]["source_modules"])
    allowed = set(contract["gevent"]["allowed_importers"])
    assert kept & allowed == set()
    commands = modules("medusa/commands") | modules("medusa/commands/reflector")
    assert (modules("medusa") | commands) - {"medusa.commands", "medusa.commands.reflector"} <= kept | allowed


def test_what_travels_needs_no_later_python() -> None:
    options = ["--no-tips", "--violations", f"--target={OLDEST_PYTHON}-", *map(str, travelling())]
    command = [sys.executable, "-c", "import vermin; vermin.main()", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


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


def anchors(document: Path) -> set[str]:
    """The names by which links find a document's headings."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", tracked_sources(".md"), ids=relative)
def test_links_of_a_document_lead_somewhere(document: Path) -> None:
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        name, _, anchor = link.partition("#")
        target = (document.parent / name).resolve() if name else document
        if "://" not in link and not (target.exists() and (not anchor or anchor in anchors(target))):
            broken.append(link)
    assert broken == []


def test_nothing_tells_of_a_workplace() -> None:
    found = [
        f"{relative(path)}: {word}" for path in tracked() for word in WORKPLACE if word.encode() in path.read_bytes()
    ]
    assert found == []
