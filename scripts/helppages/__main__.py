"""python -m scripts.helppages DIR: writes the man pages and the completions below DIR/share."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from medusa import __version__
from medusa.commands.main import COMMANDS
from medusa.commands.mlogin_options.groups import make_parser as mlogin_parser
from scripts.helppages import completion, manpage, programs


def man_pages() -> dict[str, str]:
    """Returns the man pages: path below the prefix of an installation -> text."""
    # The same sources give the same page if SOURCE_DATE_EPOCH is set.
    date = time.strftime("%Y-%m-%d", time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH") or time.time())))
    pages = programs.pages()
    found = {}
    for page in pages:
        title = (page.name, page.section)
        others = [(other.name, other.section) for other in pages if other.name != page.name]
        text = manpage.man_page(title, page.summary, page.parser, page.commands, (date, f"Medusa {__version__}"))
        also = "\n".join(manpage.see_also([*others, ("ssh", 1)]))
        found[f"share/man/man{page.section}/{page.name}.{page.section}"] = f"{text}{also}\n"
    return found


def completions() -> dict[str, str]:
    """Returns the completions: path below the prefix of an installation -> text."""
    found = {}
    for shell, place in completion.PLACES.items():
        commands = {name: programs.command_parser(name) for name in COMMANDS}
        medusa = completion.with_commands("medusa", commands, {name: COMMANDS[name].help for name in COMMANDS})
        for parser in (mlogin_parser(), medusa):
            found[place.format(parser.prog)] = completion.completion(shell, parser)
    return found


def main(argv: list[str]) -> int:
    """Writes all files. Returns the exit status."""
    if len(argv) != 1:
        print("usage: python -m scripts.helppages DIR", file=sys.stderr)
        return 2
    for name, text in {**man_pages(), **completions()}.items():
        file = Path(argv[0]) / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
