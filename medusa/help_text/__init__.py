"""Help texts of programs: options in groups, then sections such as examples, variables and files. At most 80 columns.

The man pages are made from the same parsers and sections.

parser   the parser of options, and the layout of the groups
section  the sections, and their layout
"""

from __future__ import annotations

from medusa.help_text.parser import HelpParser
from medusa.help_text.section import Section, render, show, width, wrap

__all__ = ["HelpParser", "Section", "render", "show", "width", "wrap"]
