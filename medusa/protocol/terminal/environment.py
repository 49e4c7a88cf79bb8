"""The environment variables of a session: which of them the client sends, and which the agent accepts."""

from __future__ import annotations

import fnmatch
import re
from typing import Any, Collection, Dict, Iterable, Mapping, Tuple

DEFAULT = ("LANG", "LANGUAGE", "LC_*", "COLORTERM", "NO_COLOR")
"""The variables that are sent by default: the language, and what the user's terminal can show."""

NOTHING = "none"

MAX_VARIABLES = 128
MAX_BYTES = 32 * 1024
"""The limits for sent and for accepted variables: their number, and the bytes of their names and values in total."""

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
PATTERN = re.compile(r"-?[A-Za-z0-9_*?]{1,128}")

_AGENTS = re.compile(r"MEDUSA_.*")
_SIZE = ("COLUMNS", "LINES")
"""The variables that are never sent or accepted are those of _AGENTS and _SIZE.

_AGENTS matches the variables that configure the agent. Those of _SIZE would be wrong as soon as the user changes the
size of the window.
"""

_PROTECTED = re.compile(
    r"PATH|HOME|SHELL|USER|LOGNAME|PWD|OLDPWD|SHLVL|TERM|TMPDIR|IFS|ENV|PS\d|_|CDPATH|GLOBIGNORE|HOSTNAME"
    r"|(?:LD|DYLD|BASH|MANTA|PYTHON|PERL|RUBY|NODE|JAVA|GCONV|SSH|GPG|XDG|DBUS|SLURM|KUBERNETES)_?.*"
)
"""The variables that decide how programs of the job run. They are accepted only if the user has written their names."""

_SECRET = re.compile(r".*(?:SECRET|TOKEN|PASS|KEY|CREDENTIAL|AUTH|COOKIE|PRIVATE|SIGN|CERT).*", re.IGNORECASE)
"""The names of variables that may hold a secret. They are sent if the user has written the name, not for a pattern."""


def chosen(words: Iterable[str], environ: Mapping[str, str]) -> Tuple[Dict[str, str], Tuple[str, ...]]:
    """Returns the variables to send, and the names of those that the agent accepts only because the user named them.

    Args:
        words: what the user has chosen, in order. Each word is a name; or a pattern with `*` and `?`; or `-` and a name
            or pattern, which drops variables that earlier words have chosen; or `none`, which drops all of these.
        environ: the client's environment.
    """
    sent: Dict[str, str] = {}
    words = tuple(words)
    for word in words:
        if word == NOTHING:
            sent.clear()
        elif word.startswith("-"):
            sent = {name: value for name, value in sent.items() if not fnmatch.fnmatchcase(name, word[1:])}
        elif "*" in word or "?" in word:
            found = {name for name in environ if fnmatch.fnmatchcase(name, word) and not _needs_its_name(name)}
            sent.update((name, environ[name]) for name in sorted(found))
        elif word in environ:
            sent[word] = environ[word]
    taken = checked(sent, list(sent))
    return taken, tuple(name for name in taken if name in words and _is_taken_by_name(name))


def _is_taken_by_name(name: str) -> bool:
    return bool(_PROTECTED.fullmatch(name)) or name.startswith("LC_")


def _needs_its_name(name: str) -> bool:
    return bool(_PROTECTED.fullmatch(name) or _SECRET.fullmatch(name))


def checked(value: Any, named: Collection[str] = ()) -> Dict[str, str]:
    """Returns those variables of `value`, a parsed JSON object, that the agent may accept.

    Leaves out variables that are not well-formed. Leaves out the last variables if there are more than MAX_VARIABLES or
    MAX_BYTES.

    Args:
        named: the names that the user has written in full. A variable that decides how programs run, such as PATH, is
            left out if its name is not among these.

    Raises:
        ValueError: `value` is not a JSON object (a dict).
    """
    if not isinstance(value, dict):
        raise ValueError("not an object")
    taken: Dict[str, str] = {}
    left = MAX_BYTES
    for name, text in value.items():
        if not _is_good(name, text) or (_PROTECTED.fullmatch(name) and name not in named):
            continue
        left -= len(name) + len(text.encode("utf-8", "surrogateescape"))
        if left < 0 or len(taken) == MAX_VARIABLES:
            break
        taken[name] = text
    return taken


def _is_good(name: str, text: Any) -> bool:
    if not NAME.fullmatch(name) or _AGENTS.fullmatch(name) or name in _SIZE:
        return False
    if not isinstance(text, str) or "\0" in text:
        return False
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeError:
        return False
    return True
