"""The reflector's own variables for two options, and the names that these variables had in earlier versions.

The old names are now used by mlogin: MEDUSA_CONFIG names the user's config file, and MEDUSA_WAIT_TIMEOUT sets an option
of mlogin. A reflector still accepts the old names, because services that were set up for an earlier version use them.
It does not accept a MEDUSA_CONFIG that names a user's config file.
"""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from pathlib import Path

from medusa.commands.options.config_file import COMMON, BadFile, parse_config
from medusa.commands.options.parser import OptionParser
from medusa.reflector.config import FOREVER

CONFIG, WAIT_TIMEOUT = "MEDUSA_REFLECTOR_CONFIG", "MEDUSA_REFLECTOR_WAIT_TIMEOUT"

SHARED = {"wait-timeout"}
"""The keys that a reflector's config file and a user's config file may both contain."""

Adopted = list[tuple[str, str]]
"""Pairs of an old and a new name: one for each variable of the reflector that was set by its old name."""


def adopt_old_variables(parser: OptionParser, argv: Sequence[str], environ: MutableMapping[str, str]) -> Adopted:
    """Sets the reflector's own variables in `environ` from the variables with their old names.

    Leaves a variable as it is if it is set already, or if its option is on the command line `argv`. Returns a pair for
    each variable that was set: its old name and its new name.

    CONFIG_FILE, the name in the original Medusa, counts as an old name too. The result leaves it out, because operators
    need not change it.
    """
    adopted = []
    if not environ.get(CONFIG) and not _is_given(argv, "--config"):
        file = environ.get("MEDUSA_CONFIG")
        if file and _is_reflectors(parser, file):
            environ[CONFIG] = file
            adopted.append(("MEDUSA_CONFIG", CONFIG))
        elif environ.get("CONFIG_FILE"):
            environ[CONFIG] = environ["CONFIG_FILE"]
    if not environ.get(WAIT_TIMEOUT) and not _is_given(argv, "--wait-timeout"):
        wait = environ.get("MEDUSA_WAIT_TIMEOUT", "")
        if _is_positive(wait):  # 0 is a value for mlogin only
            environ[WAIT_TIMEOUT] = wait
            adopted.append(("MEDUSA_WAIT_TIMEOUT", WAIT_TIMEOUT))
    return adopted


def tell_adopted(adopted: Adopted) -> None:
    """Logs a warning for each variable of the reflector that was set by its old name. `adopted`: their names."""
    import structlog  # imported here because gevent may patch modules after this one is loaded

    for old, new in adopted:
        log = structlog.get_logger(component="options")
        log.warning("this variable is for mlogin", variable=old, advice=f"set {new} for the reflector")


def _is_given(argv: Sequence[str], option: str) -> bool:
    return any(word == option or word.startswith(option + "=") for word in argv)


def _is_reflectors(parser: OptionParser, file: str) -> bool:
    """True if a config file is for a reflector. False if it is the config file of a user.

    Also True if the file cannot be read: then the parser tries to read it, and reports the error.
    """
    try:
        text = Path(file).expanduser().read_text("utf-8")
    except (OSError, ValueError, RuntimeError):
        return True
    try:
        sections = parse_config(text, sections=True)
    except BadFile:
        return not any(line.lstrip().startswith("[") for line in text.splitlines())
    keys = {setting.key for setting in sections[COMMON]}
    known = {key for key in keys if parser.option(key) is not None}
    return len(sections) == 1 and bool(known - SHARED or (known and known == keys))


def _is_positive(text: str) -> bool:
    try:
        return 0 < float(text) <= FOREVER
    except ValueError:
        return False
