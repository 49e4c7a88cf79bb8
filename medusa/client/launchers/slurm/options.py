"""Parses the user's options for sbatch and srun as these programs do, and refuses those that break a session."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from medusa.client.outcome import Failure
from medusa.protocol.printable import printable

# The options of Slurm 22.05 and of later versions. NAME takes no value. The value of NAME= may be the next word, that
# of NAME? can only follow an =. The option's letter, if it has one, stands after a slash.
_BOTH = """
account=/A acctg-freq= bb= bbf= begin=/b chdir=/D cluster= cluster-constraint= clusters=/M comment= constraint=/C
container= container-id= context= contiguous core-spec=/S cores-per-socket= cpu-freq= cpus-per-gpu= cpus-per-task=/c
deadline= delay-boot= dependency=/d distribution=/m error=/e exclude=/x exclusive? export= extra= extra-node-info=/B
gid= gpu-bind= gpu-freq= gpus=/G gpus-per-node= gpus-per-socket= gpus-per-task= gres= gres-flags= help/h hint= hold/H
input=/i job-name=/J licenses=/L mail-type= mail-user= mcs-label= mem= mem-bind= mem-per-cpu= mem-per-gpu= mincpus=
network= nice? no-kill?/k nodefile=/F nodelist=/w nodes=/N ntasks=/n ntasks-per-core= ntasks-per-gpu= ntasks-per-node=
ntasks-per-socket= ntasks-per-tres= oom-kill-step? open-mode= output=/o overcommit/O oversubscribe/s partition=/p
power= prefer= priority= profile= propagate? qos=/q quiet/Q reboot reservation= resv-ports? segment= signal=
sockets-per-node= spread-job stepmgr switches= tasks-per-node= test-only thread-spec= threads-per-core= time=/t
time-min= tmp= tres-bind= tres-per-task= uid= usage use-min-nodes verbose/v version/V wckey=
"""
_SBATCH = """
array=/a batch= export-file= get-user-env? ignore-pbs kill-on-invalid-dep= no-requeue parsable requeue wait/W
wait-all-nodes= wrap=
"""
_SRUN = """
accel-bind= bcast? bcast-exclude= compress? cpu-bind= cpu_bind= debugger-test disable-status/X epilog= exact
external-launcher? het-group= immediate?/I interactive jobid= kill-on-bad-exit?/K label/l mpi= msg-timeout= multi-prog
no-allocate/Z overlap? pack-group= preserve-env/E prolog= pty? quit-on-interrupt relative=/r send-libs? slurmd-debug=
task-epilog= task-prolog= threads=/T tree-width= unbuffered/u wait=/W whole x11?
"""

_ONE_JOB = "a session has one job; start mlogin once for each"
_OTHER_SCRIPT = "the job runs mlogin's own script; a command for its session is given by: mlogin -c COMMAND"
_ONE_TASK = "a session in a running job is one task on one node"
_NO_JOB = "it starts nothing; run {} itself, without mlogin"
_INPUT = "srun reads mlogin's own script from its standard input"

_REFUSED = {
    "sbatch": {
        "array": _ONE_JOB,
        "wrap": _OTHER_SCRIPT,
        "wait": "sbatch does not end before its job does",
        "quiet": "sbatch does not say the job's number then",
        **dict.fromkeys(("test-only", "help", "usage", "version"), _NO_JOB),
    },
    "srun": {
        **dict.fromkeys(("ntasks", "nodes", "het-group", "pack-group"), _ONE_TASK),
        **dict.fromkeys(("input", "pty"), _INPUT),
        **dict.fromkeys(("multi-prog", "external-launcher"), _OTHER_SCRIPT),
        **dict.fromkeys(("test-only", "help", "usage", "version", "debugger-test", "no-allocate"), _NO_JOB),
        "jobid": "mlogin's own option --job names the job",
    },
}
"""For each program: its options that break a session -> why, for the user."""

_HARMLESS = {"srun": {"ntasks": ("1",), "nodes": ("1", "1-1"), "het-group": ("0",), "pack-group": ("0",)}}
"""For each program: its options in _REFUSED that have harmless values -> these values, which are accepted."""


HELP = """\
usage: mlogin slurm: [OPTION...] [-- OPTION OF SBATCH...]
       mlogin slurm:JOB[_TASK] [OPTION...] [-- OPTION OF SRUN...]
       mlogin --launcher slurm [--job JOB[_TASK]] [OPTION...] [-- ...]

Runs the session in a new Slurm job, which is cancelled at the end; or with JOB
in that running job, by srun --overlap. JOB_TASK is one task of an array.

Options of sbatch, or with JOB of srun, go after --. These are often used:

  --partition NAME, --account NAME, --qos NAME, --reservation NAME
  --time TIME           as 30:00 or 2-00:00:00
  --gres gpu:N, --gpus N, --cpus-per-task N, --mem SIZE
  --nodelist NAMES, --exclude NAMES, --constraint FEATURES

  mlogin slurm: -- --partition gpu --gres gpu:1 --time 2:00:00
  mlogin slurm:123_4
"""


def help_text() -> str:
    """Returns the text of `mlogin --launcher slurm --help`, with the names of the options that may follow `--`."""
    taken = {
        program: [f"--{name}" for name in known if name not in _REFUSED[program]] for program, known in _KNOWN.items()
    }
    more = [name for name in taken["srun"] if name not in taken["sbatch"]]
    paragraphs = [
        f"All of sbatch (`sbatch --help` explains them): {', '.join(taken['sbatch'])}",
        f"srun has most of these, and besides (`srun --help` explains them): {', '.join(more)}",
    ]
    filled = [textwrap.fill(text, 79, break_on_hyphens=False, break_long_words=False) for text in paragraphs]
    return "\n\n".join([HELP.rstrip(), *filled])


class _Option(NamedTuple):
    """Describes an option of sbatch or srun.

    Attributes:
        name: the long name, without hyphens.
        takes: says where the option's value is. "": it takes no value. "=": the value may be the next word. "?": the
            value can only follow an equals sign. "*": the option is unknown.
        letter: the short name; "" if there is none.
    """

    name: str
    takes: str
    letter: str = ""


def check(program: str, words: Sequence[str]) -> None:
    """Raises Failure if one of the user's options for `program` would break a session. An example is --array.

    Also raises Failure if a word is no option, because `program` would take it for a script. Unknown options are
    accepted, because plugins and later versions of Slurm have more options.

    Args:
        program: sbatch or srun.
        words: the user's options.
    """
    refused, harmless = _REFUSED[program], _HARMLESS.get(program, {})
    for given, name, value in _read(program, words):
        if name is None:
            what = f"`{printable(given)}` is no option of {program}"
            raise Failure(f"{what}: {_OTHER_SCRIPT}, and options are written --NAME=VALUE")
        if name in refused and value not in harmless.get(name, ()):
            raise Failure(f"{printable(given)}: leave it out, because {refused[name].format(f'{program} --{name}')}")


def _read(program: str, words: Sequence[str]) -> Iterator[tuple[str, str | None, str]]:
    """Yields three texts for each option in `words`: the option as the user wrote it, its long name, its value.

    The user may have abbreviated the long name. Stops after the first word that is no option, because `program` would
    take it for a script or a command. For this word, yields None as the long name.
    """
    known = _KNOWN[program]
    letters = {option.letter: option for option in known.values() if option.letter}
    left = list(words)
    while left:
        word = left.pop(0)
        if word == "--" and not left:
            return
        if word in ("-", "--") or not word.startswith("-"):
            yield (left[0] if word == "--" else word), None, ""
            return
        if word.startswith("--"):
            name, sign, value = word[2:].partition("=")
            option = _complete(name, known)
            yield f"--{name}", option.name, value if sign else _next_value(option, left)
        else:
            yield from _letters(word[1:], letters, left)


def _letters(word: str, letters: Mapping[str, _Option], left: list[str]) -> Iterator[tuple[str, str, str]]:
    """Yields three texts for each option in a word of option letters: the option (`-H`), its long name, its value.

    An example of such a word is `-HJname`: the option H without a value, then the option J with the value `name`.

    Args:
        word: the word without the hyphen.
        letters: the known options by their letters.
        left: the words after this one. If the first of them is the value of an option, it is removed.
    """
    while word:
        letter, word = word[0], word[1:]
        option = letters.get(letter, _Option(letter, ""))
        if not option.takes:
            yield f"-{letter}", option.name, ""
            continue
        yield f"-{letter}", option.name, word or _next_value(option, left)
        return


def _next_value(option: _Option, left: list[str]) -> str:
    """Removes the value of `option` from the start of `left` and returns it. Returns "" if there is no value there.

    `left`: the words after the option.
    """
    takes = option.takes == "=" or (option.takes == "*" and not "".join(left[:1]).startswith("-"))
    return left.pop(0) if takes and left else ""


def _complete(name: str, known: Mapping[str, _Option]) -> _Option:
    """Returns the option in `known` whose name is `name`, or the only option whose name starts with `name`.

    If there is neither, returns a new option that is marked as unknown.
    """
    if name in known:
        return known[name]
    found = [option for full, option in known.items() if name and full.startswith(name)]
    return found[0] if len(found) == 1 else _Option(name, "*")


def _parse(text: str) -> dict[str, _Option]:
    """Parses a list of options in the form of this module's tables. Returns the options by their long names."""
    found = (re.fullmatch(r"([a-z0-9_-]+)([=?]?)(?:/(.))?", word) for word in text.split())
    return {match[1]: _Option(match[1], match[2], match[3] or "") for match in found if match}


_KNOWN = {"sbatch": _parse(_BOTH + _SBATCH), "srun": _parse(_BOTH + _SRUN)}
