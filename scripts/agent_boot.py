"""The first Python code of the archive: checks and unpacks the payload, and calls agent/archived.py.

The stub is the shell script at the front of the archive. It passes this code to Python as a text. Then sys.argv is -c,
the path of the archive, and the words of the user.
The code contains no single quote, because it stands between single quotes in a shell script. mkshar.sh fills in the
digest and the payload.
"""

from __future__ import annotations

import base64
import hashlib
import marshal
import os
import re
import signal
import sys
from typing import Any, Dict, Iterable, List, Tuple

DIGEST = "@DIGEST@"
PAYLOAD = """
@PAYLOAD@
"""
SAFE = str.maketrans(",./:[]", "$`!%&~")
"""Maps the characters of the payload that replace those of base85 (RFC 1924) which a shell could read as its own."""
CODES = (*range(1, 9), *range(128, 256))
"""The bytes that stand for words in the payload."""
ENTRY = "agent/archived.py"

CODE = """import os; boot = os.environ.pop("MEDUSA_BOOT"); exec(boot)"""
"""The code with which the stub starts Python. `boot` is the text of this file."""

HIDDEN = "MEDUSA_HIDDEN"
"""The variable that `hide` sets when it starts this program a second time.

It holds the descriptor of the pipe to read from, and the signals that the job has blocked.
"""
SHOWN = (
    b"MEDUSA_SELF",
    b"MEDUSA_LC_CTYPE",
    b"MEDUSA_IGNORED",
    b"MEDUSA_LIBRARY_PATH",
    b"MEDUSA_PYTHON",
    b"MEDUSA_RUNS",
)
"""The variables of the stub (shell script). They hold no secrets, so `hide` leaves them in the environment."""
FAULTS = (signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL)


def block() -> List[int]:
    """Blocks all signals, so that none ends the agent before it has its handlers.

    Returns the signals that were blocked before.
    """
    return list(map(int, signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals().difference(FAULTS))))


def hide(command: List[str], first: int, boot: str, blocked: List[int]) -> List[int]:
    """Hides the secrets of the agent from other processes.

    Every program of the same user can read the arguments and the variables with which a process was started. So this
    function starts this program a second time, by exec, without the variables of the agent and the options of `wrap`.
    It writes these into a pipe. The second start calls this function too: then it reads the pipe, and sets the
    variables and arguments again.

    Args:
        command: the program and the arguments that are not in sys.argv.
        first: the index in sys.argv of the first word of the user.
        boot: the text for MEDUSA_BOOT, if the second start needs it.
        blocked: the signals that the job has blocked.

    Returns:
        The signals that the job has blocked.
    """
    given = os.environ.pop(HIDDEN, None)
    if given is not None:
        fd, *job = map(int, given.split())
        restore(fd, first)
        return job
    first += 1
    words = wrap_options(sys.argv[first - 1 :])
    names = [name for name in os.environb if name.startswith(b"MEDUSA_") and name not in SHOWN]
    parts = [name + b"=" + os.environb[name] for name in names] + [b"=" + os.fsencode(word) for word in words]
    if parts:
        shown = {name: value for name, value in os.environb.items() if name not in names}
        shown.update({b"MEDUSA_BOOT": boot.encode()} if boot else {})
        again(command + sys.argv[1:first] + sys.argv[first + len(words) :], shown, b"\0".join(parts), blocked)
    return blocked


def wrap_options(words: List[str]) -> List[str]:
    return words[1 : words.index("--")] if words[:1] == ["wrap"] and "--" in words else []


def again(argv: List[str], environ: Dict[bytes, bytes], data: bytes, blocked: Iterable[int]) -> None:
    """Executes this program again. Returns only if that fails: the session can begin all the same."""
    try:
        reader, writer = os.pipe()
    except OSError:
        return
    try:
        os.set_blocking(writer, False)
        if os.write(writer, data) == len(data):
            os.set_inheritable(reader, True)
            environ[HIDDEN.encode()] = " ".join(map(str, [reader, *blocked])).encode()
            os.execve(argv[0], argv, environ)
    except OSError:
        pass
    finally:
        os.close(reader)
        os.close(writer)


def restore(fd: int, first: int) -> None:
    """Reads from the pipe what `hide` has hidden."""
    with open(fd, "rb") as pipe:
        parts = pipe.read().split(b"\0")
    words = [os.fsdecode(part[1:]) for part in parts if part.startswith(b"=")]
    sys.argv[first + 1 : first + 1] = words
    for part in parts:
        name, _, value = part.partition(b"=")
        if name:
            os.environb[name] = value


def files() -> Dict[str, bytes]:
    """Unpacks the payload (see agent_payload.py). Returns the contents of its files by path.

    Exits with status 126 if the payload is damaged. If MEDUSA_RUNS is a path, an mlogin on this machine has unpacked
    and compiled the files before (medusa/client/launchers/compiled.py): then this is the result.
    """
    try:
        with open("/" + os.environ.get("MEDUSA_RUNS", ""), "rb") as compiled:
            return dict(marshal.load(compiled))  # noqa: S302 - it lies beside the bytecode of mlogin
    except (OSError, EOFError, TypeError, ValueError):
        pass
    try:
        packed = base64.b85decode("".join(PAYLOAD.split()).translate(SAFE))
    except ValueError:
        packed = b""
    if hashlib.sha256(packed).hexdigest() != DIGEST:
        sys.stderr.write("medusa agent: the payload is damaged\n")
        sys.exit(126)
    try:
        import bz2

        unpacked = bz2.decompress(packed)
    except ImportError:  # this Python was built without bz2
        unpacked = unpack(packed)
    words, _, data = unpacked.partition(b"\0\0")
    for number, word in zip(CODES, words.split(b"\0")):
        data = data.replace(bytes([number]), word)
    names, _, data = data.partition(b"\n\n")
    found, at = {}, 0
    for line in names.decode().split("\n"):
        size, name = line.split(" ", 1)
        found[name] = data[at : at + int(size)]
        at += int(size)
    return found


def unpack(packed: bytes) -> bytes:
    """Returns what bz2.decompress returns for one stream, a hundred times slower: it takes about half a second.

    The stream must be whole and right: the checksums are not compared, and a damaged stream may never end.
    """
    bits, at, unpacked = bin(int.from_bytes(b"\1" + packed, "big"))[3:], 32, b""
    while bits[at : at + 48] == format(0x314159265359, "048b"):  # a block; after the last one comes another mark
        first = int(bits[at + 81 : at + 105], 2)
        column, at = last_column(bits, at + 105)
        places = sorted(range(len(column)), key=column.__getitem__)
        block = bytearray()
        for _ in places:
            first = places[first]
            block.append(column[first])
        # After four equal bytes, a byte says how often more the byte comes.
        unpacked += re.sub(rb"(?s)(.)\1{3}(.)", lambda run: run[1] * (4 + ord(run[2])), bytes(block))
    return unpacked


def last_column(bits: str, at: int) -> Tuple[bytes, int]:
    """Decodes a block of a bzip2 stream down to the last column of the Burrows-Wheeler transform.

    Args:
        bits: the stream as digits.
        at: the index of the first bit after the head of the block.

    Returns:
        The column, and the index of the first bit after the block.
    """

    def take(count: int) -> int:
        nonlocal at
        at += count
        return int(bits[at - count : at], 2)

    rows = [row for row in range(0, 256, 16) if take(1)]
    recent = [row + cell for row in rows for cell in range(16) if take(1)]
    tables, chosen = list(range(take(3))), []
    for _ in range(take(15)):
        place = bits.index("0", at) - at
        at += place + 1
        tables.insert(0, tables.pop(place))
        chosen.append(tables[0])
    codes, end = [], len(recent) + 1
    for _ in tables:
        length, lengths = take(5), []
        for symbol in range(end + 1):
            while take(1):
                length += 1 - 2 * take(1)
            lengths.append((length, symbol))
        codes.append(code_of(sorted(lengths)))
    column, run, weight = bytearray(), 0, 1
    for code in (codes[number] for number in chosen for _ in range(50)):
        start = at
        at += 1
        while bits[start:at] not in code:
            at += 1
        symbol = code[bits[start:at]]
        if symbol < 2:  # a digit of the length of a run, the lowest first
            run, weight = run + (weight << symbol), weight * 2
            continue
        column += bytes(recent[:1]) * run
        run, weight = 0, 1
        if symbol == end:
            break
        recent.insert(0, recent.pop(symbol - 1))
        column.append(recent[0])
    return bytes(column), at


def code_of(lengths: Iterable[Tuple[int, int]]) -> Dict[str, int]:
    """Returns the canonical Huffman code for pairs of length and symbol, which are sorted."""
    code, last, found = 0, 0, {}
    for length, symbol in lengths:
        code, last = code << length - last, length
        found[format(code, "0%db" % length)] = symbol
        code += 1
    return found


def run(found: Dict[str, bytes], blocked: List[int]) -> int:
    scope: Dict[str, Any] = {"__name__": "agent.archived"}
    code: Any = found.get(ENTRY + "c") or compile(found[ENTRY], "agent.sh/" + ENTRY, "exec", dont_inherit=True)
    exec(code, scope)  # noqa: S102
    status: int = scope["main"](found, sys.argv[1:], blocked)
    return status


if __name__ == "__main__":
    blocked_by_job = hide([sys.executable, "-I", "-S", "-B", "-c", CODE], 2, globals()["boot"], block())
    sys.exit(run(files(), blocked_by_job))
