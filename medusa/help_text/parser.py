"""An argparse parser with a help text that has groups of options, and further sections."""

from __future__ import annotations

import argparse
from typing import Any, List, Sequence, Tuple

from medusa.help_text.section import Section, render, show, width, wrap

OPTION_COLUMN = 28
"""The column where the text of an option begins. An option that is longer has a line of its own."""


class HelpFormatter(argparse.HelpFormatter):
    """Formats the help of the options. The usage line says [OPTION...], because a list of all options would be long."""

    def __init__(self, prog: str, **more: Any) -> None:
        super().__init__(prog, max_help_position=OPTION_COLUMN, width=width(), **more)

    def _format_usage(self, usage: Any, actions: Any, groups: Any, prefix: Any) -> str:
        if usage is None:
            words = [self._format_args(action, action.dest) for action in actions if not action.option_strings]
            usage = " ".join(["%(prog)s [OPTION...]", *words])
        return super()._format_usage(usage, actions, groups, prefix)

    def _split_lines(self, text: str, columns: int) -> List[str]:
        return wrap(" ".join(text.split()), columns)

    def _fill_text(self, text: str, columns: int, indent: str) -> str:
        return "\n".join(wrap(" ".join(text.split()), columns, indent))

    def _format_action_invocation(self, action: argparse.Action) -> str:
        """Returns the names of an option, and after them its value once, as in `-k, --key KEY`."""
        if not action.option_strings:
            return str(self._metavar_formatter(action, action.dest)(1)[0])
        names = ", ".join(action.option_strings)
        return names if action.nargs == 0 else names + " " + self._format_args(action, action.dest.upper())


class HelpParser(argparse.ArgumentParser):
    """An argparse parser with a help text that has groups of options, and further sections.

    Make one group for each topic, by `add_argument_group`. Options that are in no group, such as --help, come last.

    Attributes:
        sections: further parts of the help text, after the options: examples, variables, files.
    """

    def __init__(self, *args: Any, sections: Sequence[Section] = (), **more: Any) -> None:
        more.setdefault("formatter_class", HelpFormatter)
        super().__init__(*args, **more)
        self.sections = list(sections)
        self._positionals.title = "Arguments"
        self._optionals.title = "Options"

    def add_argument_group(self, *args: Any, **more: Any) -> Any:
        """Adds a group of options, and returns it (see argparse). In the help, options without a group come last."""
        group = super().add_argument_group(*args, **more)
        if hasattr(self, "sections"):  # if not, argparse makes its own two groups
            self._action_groups.sort(key=lambda group: group is self._optionals)
            self._optionals.title = "Other options"
        return group

    def format_help(self) -> str:
        """Returns the help text."""
        columns = width()
        sections = [section for section in self.help_sections() if section.items or section.text]
        return "\n".join([super().format_help(), *(render(section, columns) for section in sections)])

    def print_help(self, file: Any = None) -> None:
        """Writes the help text to `file`, or to stdout."""
        if file is None:
            show(self.format_help().rstrip("\n"))
        else:
            super().print_help(file)

    def described(self, action: argparse.Action) -> Tuple[str, str]:
        """Returns two texts about an option: how it is written, such as `-k, --key KEY`, and what it means."""
        formatter = self._get_formatter()
        return formatter._format_action_invocation(action), formatter._expand_help(action) if action.help else ""

    def help_sections(self) -> List[Section]:
        """Returns the sections that follow the options in the help text."""
        return self.sections
