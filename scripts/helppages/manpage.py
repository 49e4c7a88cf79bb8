"""Makes a man page from parsers of options. No I/O.

The form is roff with the macros of man(7), which groff and mandoc read.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Mapping, Sequence

from medusa.help_text import HelpParser, Section

TITLES = {"Variables": "Environment"}
"""Heading in the help text -> heading in the manual, where they differ."""

LAST = ("Variables", "Files", "Signals", "Exit status", "Examples")
"""Sections that stand last in the manual, in this order."""

_SPECIAL = {"\\": r"\e", "-": r"\-", "~": r"\(ti", "^": r"\(ha", "'": r"\(aq", "`": r"\(ga", '"': r"\(dq"}


def man_page(
    title: tuple[str, int],
    summary: str,
    parser: HelpParser,
    commands: Mapping[str, HelpParser],
    footer: tuple[str, str],
) -> str:
    """Returns a man page.

    Args:
        title: the name and the section of the page.
        parser: the options of the program.
        commands: the commands of the program: name -> options.
        footer: the date and the version.
    """
    name, section = title
    lines = [
        f'.TH {escaped(name.upper())} {section} "{footer[0]}" "{escaped(footer[1])}" "Medusa"',
        ".nh",  # names of options and variables are not divided
        ".ad l",
        *heading("Name"),
        rf"{escaped(name)} \- {escaped(summary)}",
        *heading("Synopsis"),
        *_usage(parser),
        *heading("Description"),
        escaped(_joined(parser.description)),
        *heading("Options"),
        *_groups(parser),
    ]
    own = [section for section in parser.help_sections() if section.title != "See also"]
    lines += _sections([section for section in own if section.title not in LAST], ".SH")
    for command, its_parser in commands.items():
        lines += [*heading(f"{parser.prog} {command}"), *_usage(its_parser), ".PP"]
        lines += [escaped(_joined(its_parser.description)), *_groups(its_parser)]
        lines += _sections(its_parser.help_sections(), ".SS")
    return "\n".join([*lines, *_sections([section for section in own if section.title in LAST], ".SH")]) + "\n"


def see_also(names: Sequence[tuple[str, int]]) -> list[str]:
    """Returns the last section: references to other pages."""
    return [*heading("See also"), ",\n".join(rf"\fB{escaped(name)}\fR({section})" for name, section in names)]


def escaped(text: str) -> str:
    """Returns a text in which no character means anything to roff. Words in backquotes become bold."""
    parts = re.split(r"`([^`]+)`", text)
    plain = ["".join(_SPECIAL.get(character, character) for character in part) for part in parts]
    plain[1::2] = [rf"\fB{part}\fR" for part in plain[1::2]]
    joined = "".join(plain)
    return r"\&" + joined if joined.startswith(".") else joined


def heading(title: str, macro: str = ".SH") -> list[str]:
    """Returns the line of a heading. With the macro .SH (a section), the title is in capitals."""
    shown = title.upper() if macro == ".SH" else title
    return [f'{macro} "{escaped(shown)}"']


def _joined(text: str | None) -> str:
    return " ".join((text or "").split())


def _usage(parser: HelpParser) -> Iterator[str]:
    lines = parser.format_usage().removeprefix("usage: ").splitlines()
    for number, line in enumerate(map(str.strip, lines)):
        if number:
            yield ".br"
        first, _, rest = line.removeprefix(parser.prog).partition(" ")
        yield rf"\fB{escaped(parser.prog)}\fR{escaped(first)} {escaped(rest)}".rstrip()


def _groups(parser: HelpParser) -> Iterator[str]:
    for group in parser._action_groups:
        actions = [action for action in group._group_actions if action.help != argparse.SUPPRESS]
        if actions:
            yield from heading(group.title or "", ".SS")
            yield from [escaped(_joined(group.description))] if group.description else []
        for action in actions:
            names, meaning = parser.described(action)
            yield from (".TP", rf"\fB{escaped(names)}\fR", escaped(_joined(meaning)))


def _sections(sections: Sequence[Section], macro: str) -> Iterator[str]:
    def place(section: Section) -> int:
        return LAST.index(section.title) if section.title in LAST else -1

    for section in sorted(sections, key=place):
        yield from heading(TITLES.get(section.title, section.title), macro)
        for term, meaning in section.items:
            yield from (".TP", rf"\fB{escaped(term.strip())}\fR", escaped(meaning) or r"\&")
        if section.text:
            yield from ([".PP"] if section.items else [])
            yield escaped(section.text)
