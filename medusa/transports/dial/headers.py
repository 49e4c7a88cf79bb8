"""The header fields that a user adds to requests to the reflector: from the command line, a file or a command.

A user adds them because a proxy in front of the reflector asks for them. They are sent only to the host of the
reflector's URL. They are not sent to the proxy that the environment variables name, nor to the URL of a redirect. Their
values may be secrets.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
from typing import Any, Iterable, List, Optional, Sequence, Tuple

from medusa.protocol.http.own_header import Field, checked, parse_field, parse_lines
from medusa.protocol.record import record
from medusa.transports.helper import ask_helper
from medusa.transports.steps import Steps

OPTION, FILE = "--header", "@"

COMMAND_TIMEOUT = 30.0
"""The time limit, in seconds, for the user's command that prints header fields."""

MAX_TEXT = 64 * 1024
"""The most bytes that are read of a file or of the output of a command."""


class HeaderError(Exception):
    """Raised if the header fields cannot be read, or if one of them is not allowed. The text quotes no value.

    `retryable`: True if a later try may succeed.
    """

    def __init__(self, text: str, retryable: bool = False) -> None:
        super().__init__(text)
        self.retryable = retryable


@record
class Headers:
    """The sources of the header fields: texts, files and a command.

    The files and the command are read anew for each request, because a token in a field may expire.

    Attributes:
        given: the values of the option --header. Each is `NAME: VALUE` or `@FILE`, and was checked by `header_option`.
        command: a command line for sh that prints `NAME: VALUE` lines; None if there is none.
    """

    given: Tuple[str, ...] = ()
    command: Optional[str] = None

    def __bool__(self) -> bool:
        return bool(self.given or self.command)

    def __repr__(self) -> str:
        return "Headers(...)" if self else "Headers()"

    def read(self) -> List[Field]:
        """Reads all sources. Returns the names and values of all fields. Raises HeaderError."""
        fields: List[Field] = []
        for text in self.given:
            fields += _of_file(text[len(FILE) :]) if text.startswith(FILE) else [_of_text(text)]
        if self.command:
            fields += _of_command(self.command)
        try:
            return checked(fields)
        except ValueError as error:
            raise HeaderError("%s: %s" % (OPTION, error)) from None

    def read_steps(self, deadline: float) -> Steps[List[Field]]:
        """Reads all sources like `read`, but in steps: a helper process reads the files and runs the command.

        Args:
            deadline: the latest end, as a time of time.monotonic(). The command is killed then.

        Raises:
            HeaderError: as `read`; or the time has passed, or no process could be started.
        """
        if not self.command and not any(text.startswith(FILE) for text in self.given):
            return self.read()
        try:
            answer = yield from ask_helper(self._answer, deadline)
        except socket.timeout:
            raise HeaderError("the file or command with the headers took too long", retryable=True) from None
        except OSError as error:
            raise HeaderError("the headers could not be read: %s" % (error.strerror or error), retryable=True) from None
        if answer is None:
            raise HeaderError(
                "the headers could not be read: the process for it was not started, or killed", retryable=True
            )
        if isinstance(answer, dict):
            raise HeaderError(answer["text"], answer["retryable"])
        return [(name, value) for name, value in answer]

    def _answer(self) -> Any:
        os.setpgid(0, 0)  # what the command starts is killed with the helper
        try:
            return self.read()
        except HeaderError as error:
            return {"text": str(error), "retryable": error.retryable}


NO_HEADERS = Headers()


def header_option(text: str) -> str:
    """Checks a value of the option --header: `NAME: VALUE` or `@FILE`. Returns the value. Raises ArgumentTypeError."""
    try:
        if not text.startswith(FILE):
            parse_field(text)
        elif text == FILE:
            raise ValueError("a file's name follows the @")
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def from_variable(text: str) -> Tuple[str, ...]:
    """Parses the environment variable that replaces the option --header. Returns the values of the option.

    `text`, the value of the variable, is one value of the option (`NAME: VALUE` or `@FILE`), or a JSON list of such
    values. Raises HeaderError.
    """
    try:
        found = json.loads(text) if text.startswith("[") else [text]
        return tuple(header_option(item) for item in found)
    except (ValueError, TypeError, AttributeError):
        raise HeaderError("not a JSON list of headers") from None
    except argparse.ArgumentTypeError as error:
        raise HeaderError(str(error)) from None


def to_variable(fields: Sequence[Field]) -> str:
    """Returns `fields` as text for an environment variable. `from_variable` parses this text."""
    return json.dumps(["%s: %s" % field for field in fields])


def hide_arguments(argv: Sequence[str]) -> None:
    """Overwrites the headers in this process's own arguments, which every user of the machine can list. Linux only.

    Call it early: a process that has made its memory unreadable cannot overwrite its arguments. The names of files
    (`@FILE`) and the command are not overwritten.
    """
    secrets = set(_secrets(argv))
    if not secrets:
        return
    try:
        with open("/proc/self/cmdline", "rb") as file:
            words = file.read().split(b"\0")
        with open("/proc/self/stat", "rb") as file:
            # proc(5): arg_start is field 48. The name, field 2, may contain any bytes.
            at = int(file.read().rpartition(b")")[2].split()[45])
        with open("/proc/self/mem", "r+b", buffering=0) as memory:
            for word in words:
                memory.seek(at)
                if word in secrets and memory.read(len(word)) == word:
                    memory.seek(at)
                    memory.write(b"x" * len(word))
                at += len(word) + 1
    except (OSError, ValueError, IndexError, OverflowError):
        pass  # another system, or one that forbids it


def _secrets(argv: Sequence[str]) -> Iterable[bytes]:
    for before, word in zip(["", *argv], argv):
        value = word[len(OPTION) + 1 :] if word.startswith(OPTION + "=") else word if before == OPTION else ""
        if value and not value.startswith(FILE):
            yield os.fsencode(word)


def _of_text(text: str) -> Field:
    try:
        return parse_field(text)
    except ValueError as error:
        raise HeaderError("%s: %s" % (OPTION, error)) from None


def _of_file(name: str) -> List[Field]:
    try:
        with open(os.path.expanduser(name), "rb") as file:
            data = file.read(MAX_TEXT + 1)
        return _parsed(data)
    except (OSError, ValueError) as error:
        shown = ascii(name)[1:-1]
        raise HeaderError("%s @%s: %s" % (OPTION, shown, getattr(error, "strerror", None) or error)) from None


def _of_command(command: str) -> List[Field]:
    """Runs a command, and returns the fields that it prints. The command inherits stderr for its own errors."""
    import subprocess  # takes long to import

    try:
        process = subprocess.Popen(["/bin/sh", "-c", command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    except (OSError, ValueError) as error:
        raise HeaderError("the header command could not be started: %s" % error) from None
    try:
        data, _ = process.communicate(timeout=COMMAND_TIMEOUT)
    except subprocess.TimeoutExpired:
        raise HeaderError("the header command did not end in %.0f s" % COMMAND_TIMEOUT, retryable=True) from None
    finally:
        if process.returncode is None:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()
    if process.returncode != 0:
        status = process.returncode if process.returncode > 0 else 128 - process.returncode
        raise HeaderError("the header command ended with status %d" % status, retryable=True)
    try:
        return _parsed(data)
    except ValueError as error:
        raise HeaderError("the header command's output: %s" % error) from None


def _parsed(data: bytes) -> List[Field]:
    if len(data) > MAX_TEXT:
        raise ValueError("more than %d bytes" % MAX_TEXT)
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError:
        raise ValueError("not ASCII text") from None
    return parse_lines(text)
