"""Each package lists its files, and the import contracts of pyproject.toml leave no module out."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest
from importlinter import configuration
from importlinter.application.use_cases import read_user_options

from tests.unit.house.sources import ROOT, modules, packages, relative


def contracts() -> dict[str, dict[str, Any]]:
    """The import contracts of pyproject.toml by their ids."""
    configuration.configure()
    options = read_user_options(str(ROOT / "pyproject.toml"))
    return {contract["id"]: contract for contract in options.contracts_options}


def listed(init: Path) -> list[str]:
    """The names in the docstring's list: lines of a name, two or more spaces, and what it is for."""
    return re.findall(r"^ *(\w+) {2,}\S", ast.get_docstring(ast.parse(init.read_text())) or "", re.MULTILINE)


def members(folder: Path) -> set[str]:
    """Modules and packages in `folder`. `__init__` has the list; `__main__`, and files in C, need not stand in it."""
    return {name.rpartition(".")[2] for name in modules(relative(folder))} - {"__main__"}


@pytest.mark.parametrize("init", packages(), ids=lambda path: str(path.parent.relative_to(ROOT)))
def test_a_package_lists_its_files(init: Path) -> None:
    names, files = listed(init), {path.name.partition(".")[0] for path in init.parent.iterdir()}
    assert members(init.parent) - set(names) == set()
    assert set(names) - files == set()
    assert len(names) == len(set(names))


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
