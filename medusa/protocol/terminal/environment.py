"""Decides which environment variables of the client are sent to the agent, and which of them the agent accepts."""

from __future__ import annotations

import fnmatch
import re
from typing import Any, Collection, Dict, Iterable, List, Mapping, Tuple

DEFAULT = ("LANG", "LANGUAGE", "LC_*", "COLORTERM", "NO_COLOR")
"""The variables that are sent by default: the language, and what the user's terminal can show."""

NOTHING = "none"

MARK = "MEDUSA_TERMINAL"
"""The variable that tells the programs of a terminal, also those in a tmux, in which one they run."""

MAX_VARIABLES = 128
MAX_BYTES = 32 * 1024
"""The limits for sent and for accepted variables: their number, and the bytes of their names and values in total."""

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
PATTERN = re.compile(r"-?[A-Za-z0-9_*?]{1,128}")

_AGENTS = re.compile(r"MEDUSA_.*")
_SIZE = ("COLUMNS", "LINES")
"""_AGENTS matches, and _SIZE lists, the variables that are never sent and never accepted.

The variables that _AGENTS matches configure the agent. Those in _SIZE would be wrong as soon as the user changes the
size of the window.
"""

_PROTECTED = re.compile(
    r"PATH|HOME|SHELL|USER|LOGNAME|PWD|OLDPWD|SHLVL|TERM|TMPDIR|IFS|ENV|PS\d|_|CDPATH|GLOBIGNORE|HOSTNAME"
    r"|(?:LD|DYLD|MANTA|NODE|GCONV|SSH|GPG|XDG|DBUS|SLURM|KUBERNETES)(?:_.*)?|(?:BASH|PYTHON|PERL|RUBY|_?JAVA).*"
)
"""The variables that decide how programs of the job run.

They are sent and accepted only if the user has written the full name. A pattern does not suffice.
"""

_SECRET = re.compile(
    r".*(?:SECRET|TOKEN|PASS|CREDENTIAL|COOKIE|PRIVATE).*"
    r"|(?:.*_)?(?:.*KEYS?|O?AUTH\d?|AUTHORI[SZ]ATION|PWD|SIGN|SIGNATURE|SIGNING|CERTS?|CERTIFICATES?)(?:_.*)?",
    re.IGNORECASE,
)
"""The variables that may hold a secret. They are sent only if the user has written the full name.

A pattern does not suffice. A short word such as AUTH counts only if it is a whole word between underscores: so
GIT_AUTHOR_NAME is not among these variables.
"""


def chosen(words: Iterable[str], environ: Mapping[str, str]) -> Tuple[Dict[str, str], Tuple[str, ...]]:
    """Returns the variables of `environ` to send to the agent.

    Leaves out variables that configure Medusa. Leaves out variables such as PATH, and those that may hold a secret, if
    only a pattern has chosen them: their full name must be one of `words`.

    Args:
        words: the user's choice, processed in order. A name adds the variable of this name. A pattern with `*` or `?`
            adds all variables that it matches. `-` before a name or pattern removes these variables again. `none`
            removes all that were added so far. If the first words are those of DEFAULT, these words add no variable
            with an empty value, because the empty value would replace the value that the job has.
        environ: the client's environment.

    Returns:
        (variables to send, names to send). The names are those of variables such as PATH that the user has written in
        full. The agent may drop such a variable if it does not get the name too.
    """
    sent: Dict[str, str] = {}
    words = tuple(words)
    defaults = len(DEFAULT) if words[: len(DEFAULT)] == DEFAULT else 0
    for place, word in enumerate(words):
        if word == NOTHING:
            sent.clear()
        elif word.startswith("-"):
            sent = {name: value for name, value in sent.items() if not fnmatch.fnmatchcase(name, word[1:])}
        else:
            found = [name for name in _matched(word, environ) if name == word or not _needs_its_name(name)]
            sent.update((name, environ[name]) for name in found if environ[name] or place >= defaults)
    taken = checked(sent, list(sent))
    return taken, tuple(name for name in taken if name in words and _is_taken_by_name(name))


def withheld(words: Iterable[str], environ: Mapping[str, str], sent: Collection[str]) -> Tuple[str, ...]:
    """Returns the names of variables that the user has chosen, but that are not in `sent`.

    Such a variable was not sent for one of these reasons: it is not well-formed; it is too large; it is never sent; or
    it is sent only if the user names it in full, and the user has given a pattern. The result lacks empty variables,
    and those that only the word `*` has chosen.

    Args:
        words: the user's choice, with the names and patterns that `chosen` takes.
        environ: the client's environment.
        sent: the names of the variables that are sent.
    """
    asked: Dict[str, None] = {}
    for word in words:
        if word == NOTHING or word.startswith("-"):
            dropped = [name for name in asked if word == NOTHING or fnmatch.fnmatchcase(name, word[1:])]
            for name in dropped:
                del asked[name]
        elif word.strip("*?"):
            asked.update(dict.fromkeys(name for name in _matched(word, environ) if environ[name]))
    return tuple(name for name in asked if name not in sent)


def _matched(word: str, environ: Mapping[str, str]) -> List[str]:
    """Returns the names in `environ` that `word`, a name or a pattern, matches. The names are sorted."""
    if "*" in word or "?" in word:
        return sorted(name for name in environ if fnmatch.fnmatchcase(name, word))
    return [word] if word in environ else []


def _is_taken_by_name(name: str) -> bool:
    return bool(_PROTECTED.fullmatch(name)) or name.startswith("LC_")


def _needs_its_name(name: str) -> bool:
    return bool(_PROTECTED.fullmatch(name) or _SECRET.fullmatch(name))


def checked(value: Any, named: Collection[str] = ()) -> Dict[str, str]:
    """Returns the variables in `value`, a parsed JSON object, that the agent may accept.

    Leaves out variables that are not well-formed, and those that would exceed MAX_VARIABLES or MAX_BYTES.

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
        size = len(name) + len(text.encode("utf-8", "surrogateescape"))
        if size <= left and len(taken) < MAX_VARIABLES:
            taken[name] = text
            left -= size
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
