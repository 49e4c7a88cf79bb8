"""The recipes of docs/recipes.md, run as they are written there.

A recipe is a section. Its blocks of code are taken in their order, each once, and are run on a machine. A block after a
line that ends with "`NAME`:" is the content of the file NAME.
"""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Callable, Iterator

import pytest

from tests.machines import REFLECTOR, Machine, machine, reaching
from tests.reflectors import running
from tests.terminals import ROOT
from tests.waiting import wait_until

_BLOCK = re.compile(r"^```\w+\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_FILE = re.compile(r"`([^`\n]+)`:\n\n```\w+\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def needs(*packages: str) -> pytest.MarkDecorator:
    """Skips a test if one of these packages is missing."""
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"needs {', '.join(missing)}")


class Recipe:
    """The blocks of one section which no test has taken yet."""

    def __init__(self, title: str) -> None:
        sections = (ROOT / "docs/recipes.md").read_text().split("\n## ")
        (text,) = [body for heading, _, body in (section.partition("\n") for section in sections) if heading == title]
        self._files: dict[str, str] = dict(_FILE.findall(text))
        self.blocks: list[str] = [block for block in _BLOCK.findall(text) if block not in self._files.values()]

    def block(self) -> str:
        """The next block of commands."""
        return self.blocks.pop(0)

    def write(self, machine: Machine, name: str) -> None:
        """Writes a file of the recipe into the home directory of a machine."""
        (machine.home / name).write_text(self._files.pop(name))

    def check(self) -> None:
        assert (self.blocks, self._files) == ([], {}), "the test leaves out a part of its recipe"


@pytest.fixture
def recipe() -> Iterator[Callable[[str], Recipe]]:
    """The recipe of a title; it has to be used up."""
    taken: list[Recipe] = []

    def take(title: str) -> Recipe:
        taken.append(Recipe(title))
        return taken[-1]

    yield take
    for each in taken:
        each.check()


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Machine, Machine]]:
    """The user's machine, and the node of the job. Both reach one reflector, and neither reaches the other."""
    if os.geteuid() != 0:
        pytest.skip("needs root, for machines with a loopback and a home directory of their own")
    place = tmp_path_factory.mktemp("m")
    with (
        running() as reflector,
        machine(place / "here") as here,
        machine(place / "node") as node,
        reaching([here, node], reflector.port, place),
    ):
        for each in (here, node):
            (each.home / ".config/medusa").mkdir(parents=True)
            (each.home / ".config/medusa/config").write_text(f"reflector = {REFLECTOR}\n")
        yield here, node


@pytest.fixture(scope="module")
def here(machines: tuple[Machine, Machine]) -> Machine:
    """The user's machine."""
    return machines[0]


@pytest.fixture(scope="module")
def node(machines: tuple[Machine, Machine]) -> Machine:
    """The job's machine."""
    return machines[1]


@pytest.fixture(scope="module")
def train(here: Machine, node: Machine) -> Iterator[None]:
    """What "Before you begin" asks for: the session `train` in a job on the node, and ssh on the user's machine."""
    node.run("mlogin -d -q --name train")
    before = Recipe("Before you begin")
    here.run(before.block())
    before.check()
    yield
    here.run("medusa kill train")
    wait_until(lambda: here.run("medusa ls --json").strip() == "[]", "the end of the session")
