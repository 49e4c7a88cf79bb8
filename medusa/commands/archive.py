"""The command `medusa archive`: writes the agent's archive that came with this installation."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from medusa.client.archive import find_archive, write_archive
from medusa.client.outcome import Failure
from medusa.commands.options.parser import VARIABLES, OptionParser
from medusa.help_text import Section
from medusa.protocol.printable import printable

USAGE_ERROR = 2

SECTIONS = (
    Section(
        "Examples",
        (
            ("medusa archive -o agent.sh", "a file to carry into a job"),
            ("medusa archive | ssh HOST 'cat > agent.sh'", "the same on another host"),
        ),
    ),
    Section(VARIABLES),
    Section("Exit status", (("0", "done"), ("1", "it cannot be written"), ("2", "wrong usage"))),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `medusa archive`. Returns the exit status: 0, or 1 after an error.

    Raises SystemExit(2) for wrong usage.
    """
    options = make_parser().parse_args(argv)
    try:
        archive = find_archive().read_bytes()
    except (Failure, OSError) as error:
        return _complain(str(error))
    try:
        _write(archive, options.output)
    except OSError as error:
        # The error's own text would name a temporary file.
        name = "standard output" if options.output == "-" else printable(options.output)
        return _complain(f"{name}: {error.strerror or error}")
    return 0


def make_parser() -> OptionParser:
    """Returns the parser of the options of `medusa archive`."""
    text = "Write the agent archive that this installation carries."
    parser = OptionParser("medusa archive", text, USAGE_ERROR, sections=SECTIONS)
    parser.add_argument("-o", "--output", metavar="FILE", default="-", help="default: -, standard output")
    return parser


def _complain(message: str) -> int:
    print(f"medusa archive: {message}", file=sys.stderr)
    return 1


def _write(archive: bytes, output: str) -> None:
    """Writes the archive to standard output if `output` is `-`, else to the file `output`."""
    if output == "-":
        sys.stdout.buffer.write(archive)
        sys.stdout.buffer.flush()
    else:
        write_archive(archive, output)
