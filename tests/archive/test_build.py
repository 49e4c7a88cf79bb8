"""What mkshar.sh makes: the same bytes each time, and exactly what the agent needs."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.agents import ROOT

MANIFEST = (ROOT / "scripts" / "agent.manifest").read_text().split()

PROBE = """
import json, os, sys
class NoGevent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("gevent", "greenlet", "geventwebsocket"):
            raise AssertionError(name)
sys.meta_path.insert(0, NoGevent())
root = sys.argv[1]
sys.path.insert(0, root)
import agent.archived, agent.__main__, ptyprocess
import agent.sftp.serve, agent.streams.forwards, agent.wrap.main, medusa.transports.tls.trust  # only when needed
files = [getattr(module, "__file__", None) or "" for module in sys.modules.values()]
print(json.dumps(sorted(os.path.relpath(file, root) for file in files if file.startswith(root + os.sep))))
"""


@pytest.fixture(scope="module")
def root(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the archive is unpacked."""
    root = tmp_path_factory.mktemp("root")
    subprocess.run(["sh", archive, "--extract", root], check=True)
    return root


def test_archive_is_executable_and_well_formed(archive: Path) -> None:
    assert archive.stat().st_mode & 0o777 == 0o755
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", archive], check=True)


def test_list_and_closure_are_the_manifest(archive: Path, root: Path) -> None:
    """Run without site-packages, the agent imports all of what travels, and nothing else exists to import."""
    done = subprocess.run(["sh", archive, "--list"], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines() == sorted(MANIFEST)
    command = [sys.executable, "-I", "-S", "-B", "-c", PROBE, str(root)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    only_on_solaris = {"ptyprocess/_fork_pty.py"}
    assert set(json.loads(done.stdout)) == {name for name in MANIFEST if name.endswith(".py")} - only_on_solaris


def test_extracted_files_are_the_sources_without_documentation_types_and_unused_code(root: Path) -> None:
    assert "ISC" in (root / "ptyprocess" / "LICENSE").read_text()
    nodes = [node for path in root.rglob("*.py") for node in ast.walk(ast.parse(path.read_text()))]
    words = {word for node in nodes for word in vars(node).values() if isinstance(word, str)} | {"import"}
    for name in MANIFEST:
        if name.startswith("ptyprocess/") or not name.endswith(".py"):
            continue
        source, travels = (ROOT / name).read_text(), (root / name).read_text()
        assert len(travels) < len(source)
        assert _code(travels, words) == _code(source, words), name


def _named(item: ast.stmt) -> str:
    """The name that the statement defines. If it is another statement, a word of every program."""
    targets = item.targets if isinstance(item, ast.Assign) else [getattr(item, "target", None)]
    return str(getattr(item, "name", None) or getattr(targets[0], "id", None) or "import")


def _checks_types(item: ast.If | ast.Assert) -> bool:
    test = ast.unparse(item.test)
    if isinstance(item, ast.Assert):
        return test.endswith(" is not None")
    return test == "TYPE_CHECKING" and not item.orelse


def _members(body: list[ast.stmt]) -> list[str]:
    return [ast.unparse(item.targets[0]) for item in body if isinstance(item, ast.Assign)]


def _untyped(item: ast.stmt) -> ast.stmt:
    """The statement without the type of the variable that it sets."""
    if not isinstance(item, ast.AnnAssign) or item.value is None:
        return item
    return ast.Assign([item.target], item.value, lineno=item.lineno, col_offset=item.col_offset)


@pytest.mark.parametrize(
    ("source", "travels"),
    [
        ("def f(a: int, *b: str, c: List[int] = [], **d: É) -> int:\n    return a\n", "def f(a,*b,c=[],**d):"),
        ("def é(é: int) -> None: return\n", "def é(é):return"),
        ("def f(\n    a: Dict[\n        str, int\n    ],\n) -> None:\n    pass\n", "def f(\n a\n\n,\n):\n pass"),
        ("x: List[int] = []\n", "x=[]"),
        ("def f() -> None:\n    x: int\n    self.y: int = 1\n", "def f():\n x:int\n self.y=1"),
        ("class A(NamedTuple):\n    x: int = 1\n    y: str\n", "class A(NamedTuple):\n x:int=1\n y:int"),
        (
            'class A(enum.Enum):\n    X = "one"\n    Y = (\n        "two"\n    )\nclass B(enum.IntEnum):\n    X = 3\n',
            "class A(enum.Enum):\n X=0\n Y=(\n  1\n )\nclass B(enum.IntEnum):\n X=3",
        ),
        ('def f():\n    return """a\n    b"""\n', 'def f():\n return"""a\n    b"""'),
        ('def f(a):\n    return f"""{a}\n    b"""\n', 'def f(a):\n return f"""{a}\n    b"""'),
        ("if a:\n        x = [\n          1,\n        ]\n", "if a:\n  x=[\n   1,\n  ]"),
        ("from __future__ import annotations\n\nx = 1\n", "\n\nx=1"),
        ("f = lambda a: a  # no type\n", "f=lambda a:a"),
        (
            "from a import B, c as d, e\n\nx: B = 1 if d - -d else e[1]\n",
            "from a import c as d,e\n\nx=1 if d--d else e[1]",
        ),
        ("from a import (\n    B,\n)\ndef f() -> B: ...\n", "\n\n\ndef f():..."),
        ("if TYPE_CHECKING:\n    import a\nassert b is not None\nassert c\n", "\n\n\nassert c"),
        ("if TYPE_CHECKING:\n    a = 1\nelse:\n    a = 2\n", "if TYPE_CHECKING:\n a=1\nelse:\n a=2"),
    ],
)
def test_types_and_most_spaces_are_left_out(source: str, travels: str, tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text(source, encoding="utf-8")
    subprocess.run([sys.executable, "-I", "-B", ROOT / "scripts" / "agent_strip.py", file], check=True)
    stripped = file.read_text(encoding="utf-8")
    assert stripped.startswith(travels)
    assert stripped.count("\n") == source.count("\n")


@pytest.mark.parametrize(
    ("source", "travels"),
    [
        ("class A:\n    pass\n\ndef f(a: A): ...\n", "\n\n\ndef f(a):..."),
        ("def f(): return g()\ndef g(): return 0\ndef h(): return g()\n", "def f():return g()\ndef g():return 0\n\n"),
        ("def a(): b()\ndef b(): a()\nf = 1\n", "\n\nf=1"),
        ("@a\ndef b(): ...\n@record(frozen=False)\nclass C: ...\nX = Y = 1\n", "@a\ndef b():...\n\n\nX=Y=1"),
        ("def a(): ...\nb = {f: 'a'}\nx = b\nprint(x)", "def a():...\nb={f:'a'}\nx=b\nprint(x)"),
        ("from z import a\n\ndef a(): ...\n", "\n\n"),
    ],
)
def test_unused_code_of_a_whole_program_is_left_out(source: str, travels: str, tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(source, encoding="utf-8")
    (tmp_path / "other.py").write_text("from module import f\n\nprint(f)\n", encoding="utf-8")
    subprocess.run([sys.executable, "-I", "-B", ROOT / "scripts" / "agent_strip.py", tmp_path], check=True)
    assert (tmp_path / "module.py").read_text(encoding="utf-8").rstrip("\n") == travels.rstrip("\n")
    assert (tmp_path / "other.py").read_text(encoding="utf-8") == "from module import f\n\nprint(f)\n"


def test_what_only_python_2_runs_is_left_out_of_ptyprocess(tmp_path: Path) -> None:
    (tmp_path / "ptyprocess").mkdir()
    file = tmp_path / "ptyprocess" / "util.py"
    file.write_text(
        "import sys\ntry:\n    from shutil import which\nexcept ImportError:\n    # Old.\n    which = 2\n"
        "PY3 = sys.version_info[0] >= 3\nif PY3:\n    a = which\n# No.\nelse:\n    a = 2\n"
        "if a:\n    print(a)\nelse:\n    print()\n"
    )
    subprocess.run([sys.executable, "-I", "-B", ROOT / "scripts" / "agent_strip.py", tmp_path], check=True)
    assert file.read_text(encoding="utf-8") == (
        "import sys\nif True:\n from shutil import which\nPY3=sys.version_info[0]>=3\nif PY3:\n a=which\n"
        "if a:\n print(a)\nelse:\n print()\n"
    )


def test_of_ptyprocess_only_lines_with_code_are_kept(tmp_path: Path) -> None:
    (tmp_path / "ptyprocess").mkdir()
    file = tmp_path / "ptyprocess" / "util.py"
    file.write_text('def main():\n    """Text."""\n\n    pass\n    pass\n\n    # A comment.\n    return 1\n')
    subprocess.run([sys.executable, "-I", "-B", ROOT / "scripts" / "agent_strip.py", tmp_path], check=True)
    assert file.read_text(encoding="utf-8") == "def main():\n pass\n return 1\n"


@pytest.mark.parametrize(
    ("folder", "travels"),
    [
        ("agent", "class A:\n @property\n def a(self):return b()\n def c(self):...\n\ndef b():..."),
        ("medusa/protocol", "class A:\n\n\n def c(self):..."),
    ],
)
def test_unused_methods_of_shared_classes_are_left_out(folder: str, travels: str, tmp_path: Path) -> None:
    source = "class A:\n    @property\n    def a(self): return b()\n    def c(self): ...\n\ndef b(): ...\n"
    file = tmp_path / folder / "module.py"
    file.parent.mkdir(parents=True)
    file.write_text(source, encoding="utf-8")
    (tmp_path / "other.py").write_text("A().c()\n", encoding="utf-8")
    subprocess.run([sys.executable, "-I", "-B", ROOT / "scripts" / "agent_strip.py", tmp_path], check=True)
    assert file.read_text(encoding="utf-8").rstrip("\n") == travels


def _code(source: str, words: set[str]) -> str:
    """The program without its documentation, its types, and what it names by none of `words`; lines are kept."""
    tree = ast.parse(source)
    tree.body = [item for item in tree.body if _named(item) in words]
    for node in ast.walk(tree):
        for name in ("annotation", "returns"):
            if getattr(node, name, None) is not None:
                setattr(node, name, ast.Constant(0) if isinstance(node, ast.AnnAssign) else None)
        body = getattr(node, "body", None)
        if isinstance(body, list):
            texts = [item for item in body if isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant)]
            body[:] = [item for item in body if item not in texts and not isinstance(item, ast.Pass)]
            body[:] = [item for item in body if not isinstance(item, ast.ImportFrom)]  # some are for types only
            body[:] = [item for item in body if not (isinstance(item, (ast.If, ast.Assert)) and _checks_types(item))]
            if isinstance(node, ast.ClassDef) and [ast.unparse(base) for base in node.bases] == ["enum.Enum"]:
                body[:] = [ast.Name(name) for name in _members(body)]  # their descriptions do not travel
            elif isinstance(node, ast.ClassDef):
                body[:] = [item for item in body if not isinstance(item, ast.FunctionDef) or item.name in words]
            else:
                body[:] = [_untyped(item) for item in body]
    return "\n".join(f"{getattr(node, 'lineno', 0)} {type(node).__name__}" for node in ast.walk(tree)) + ast.dump(tree)
