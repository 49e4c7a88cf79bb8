"""Help texts: how they are laid out, and that those of all programs are so."""

from __future__ import annotations

import pytest

from medusa.commands import main as medusa
from medusa.commands.options.parser import OptionParser
from medusa.help_text import HelpParser, Section, render, wrap
from scripts.helppages.programs import REFLECTOR, pages

PARSERS = {
    f"{page.parser.prog} {name}".strip(): parser
    for page in pages()
    for name, parser in {"": page.parser, **page.commands}.items()
}


def parser() -> HelpParser:
    made = HelpParser("prog", description="what it does", sections=[Section("Examples", [("prog x", "does x")])])
    group = made.add_argument_group("Topic")
    group.add_argument("place", nargs="?", metavar="PLACE", help="where")
    group.add_argument("-k", "--key", default="k", help="which key (%(default)s)")
    made.add_argument("--quiet", action="store_true", help="errors only")
    return made


def test_the_whole() -> None:
    assert parser().format_help() == (
        "usage: prog [OPTION...] [PLACE]\n\nwhat it does\n\n"
        "Topic:\n  PLACE          where\n  -k, --key KEY  which key (k)\n\n"
        "Other options:\n  -h, --help     show this help message and exit\n  --quiet        errors only\n\n"
        "Examples:\n  prog x  does x\n"
    )


def test_a_section() -> None:
    long = "x" * 50
    section = Section("Files", [("a", "one two"), (long, "three")], "four --five-six seven")
    assert (
        render(section, 12) == f"Files:\n  a   one\n      two\n  {long}\n      three\n  four\n  --five-six\n  seven\n"
    )
    assert render(Section("Empty", text="x"), 80) == "Empty:\n  x\n"


def test_an_option_is_not_divided() -> None:
    assert wrap("give --wait-timeout S", 9) == ["give", "--wait-timeout", "S"]


@pytest.mark.parametrize("columns", ["20", "80", "200"])
@pytest.mark.parametrize("name", [*PARSERS, "medusa"])
def test_every_help_fits_80_columns(monkeypatch: pytest.MonkeyPatch, name: str, columns: str) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    text = medusa.usage() if name == "medusa" else PARSERS[name].format_help()
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("name", [name for name in PARSERS if name != "medusa"])
def test_every_help_has_examples_and_says_what_the_statuses_mean(name: str) -> None:
    titles = [section.title for section in PARSERS[name].help_sections()]
    assert {"Examples", "Variables", "Exit status"} <= set(titles)


@pytest.mark.parametrize("name", [name for name in PARSERS if name.startswith(("mlogin", f"medusa {REFLECTOR}"))])
def test_the_help_names_the_variable_of_each_option(name: str) -> None:
    parser = PARSERS[name]
    assert isinstance(parser, OptionParser)
    without = {"help", "version", "check"}
    options = {action.dest for action in parser._actions if action.option_strings}
    assert {action.dest for action in parser.variables().values()} == options - without
    text = parser.format_help()
    assert [variable for variable in parser.variables() if variable not in text] == []


def test_the_archive_names_its_other_uses() -> None:
    text = PARSERS["agent.sh"].format_help()
    assert all(f"\n  {word} " in text for word in ("wrap", "--list", "--extract"))
