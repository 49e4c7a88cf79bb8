"""How long a file, a function and a line of a document may be, and how wide a folder."""

from __future__ import annotations

from tests.unit.house.sources import outline, packages, relative, tracked_sources

MAX_FILE = 300
MAX_FUNCTION = 60
"""Lines. What is longer has more than one duty."""

NOT_DIVIDED_YET = {
    "agent/terminals/terminal.py",
    "agent/terminals/viewer.py",
    "medusa/client/mlogin.py",
    "medusa/client/pipes/pipes_session.py",
    "medusa/protocol/control.py",
    "medusa/protocol/websocket/codec.py",
    "medusa/reflector/sessions/claims/names.py",
    "medusa/transports/base.py",
    "tests/integration/test_redis.py",
    "tests/unit/client/streams/lost_link/test_returning.py",
}
"""Files that are longer, up to MAX_NOT_DIVIDED lines. No file is to be added here."""

MAX_NOT_DIVIDED = 400

MAX_FILES = 9
"""Files of a package, besides `__init__`: as many as a reader takes in at one look."""

MAX_WIDTH = 120
"""Characters in a line of a document. Lines of tables and lines with links may be longer."""


def test_no_file_is_too_long() -> None:
    sizes = {relative(path): len(path.read_text().splitlines()) for path in tracked_sources(".py", ".sh")}
    most = dict.fromkeys(NOT_DIVIDED_YET, MAX_NOT_DIVIDED)
    assert {name: size for name, size in sizes.items() if size > most.get(name, MAX_FILE)} == {}


def test_no_function_is_too_long() -> None:
    long = {
        f"{relative(path)}:{line} {name}": size
        for path in tracked_sources(".py")
        for line, name, size in outline(path).functions
        if size > MAX_FUNCTION
    }
    assert long == {}


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
