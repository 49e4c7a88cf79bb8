"""Runs inside the archive, as `python -c`: checks the payload on stdin, unpacks it privately and becomes the agent.

Arguments: the file of the archive, then those of the user, whose stdin is descriptor 9. This text holds no single
quote, because it stands between two of them in a shell script; mkshar.sh fills in the digest.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import signal
import sys
import tempfile
import zlib
from typing import Dict, List, NoReturn

PAYLOAD = "@PAYLOAD@"
NO_ROOM, DAMAGED = 125, 126


def fail(status: int, text: str) -> NoReturn:
    sys.stderr.write("medusa agent: %s\n" % text)
    sys.exit(status)


def check_file(path: str) -> None:
    """Every byte of the archive counts, not only the payload. Where sh reads a pipe there is no file to check.

    What a launcher may have put before the archive is its own.
    """
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError:
        return
    if b"\nmedusa_agent() {" not in data and b"\n# self=" not in data:
        return
    marks = list(re.finditer(rb"\n# self=([0-9a-f]{64})\n", data))
    start = data.rfind(b"#!/bin/sh\n# Medusa agent ", 0, marks[-1].start() if marks else 0)
    if start < 0:
        fail(DAMAGED, "%s: damaged" % path)
    masked = data[start : marks[-1].start(1)] + b"0" * 64 + data[marks[-1].end(1) :]
    if hashlib.sha256(masked).hexdigest().encode() != marks[-1].group(1):
        fail(DAMAGED, "%s: damaged" % path)


def payload() -> Dict[str, bytes]:
    """The files by path, of a tar archive that holds nothing else. stdin is that of the user again afterwards."""
    packed = base64.b64decode(sys.stdin.buffer.read())
    os.dup2(9, 0)
    os.close(9)
    if hashlib.sha256(packed).hexdigest() != PAYLOAD:
        fail(DAMAGED, "the payload is damaged")
    data = zlib.decompress(packed, 31)
    files, at = {}, 0
    while data[at]:
        size = int(data[at + 124 : at + 135], 8)
        name = data[at : at + 100].rstrip(b"\0").decode()
        files[name] = data[at + 512 : at + 512 + size]
        at += 512 + (size + 511) // 512 * 512
    return files


def write(files: Dict[str, bytes], directory: str) -> None:
    for name, data in files.items():
        path = os.path.join(directory, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "xb") as file:
            file.write(data)


def remove(directory: str) -> None:
    for parent, directories, names in os.walk(directory, topdown=False):
        for name in names:
            os.unlink(os.path.join(parent, name))
        for name in directories:
            os.rmdir(os.path.join(parent, name))
    os.rmdir(directory)


def extract(files: Dict[str, bytes], directory: str) -> None:
    taken = [name for name in files if os.path.lexists(os.path.join(directory, name))]
    if taken:
        fail(NO_ROOM, "%s: exists already" % os.path.join(directory, taken[0]))
    try:
        write(files, directory)
    except OSError as error:
        fail(NO_ROOM, "cannot unpack: %s" % error)


def run(files: Dict[str, bytes], arguments: List[str]) -> None:
    # From here until the agent has removed the directory no signal may come between.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
    umask = os.umask(0o077)
    directory = ""
    try:
        directory = tempfile.mkdtemp("", "medusa-", os.environ.get("TMPDIR") or "/tmp")  # noqa: S108
        write(files, directory)
        os.umask(umask)
        os.environ["MEDUSA_UNPACKED"] = directory
        os.execv(sys.executable, [sys.executable, "-I", "-S", "-B", directory, *arguments])
    except OSError as error:
        if directory:
            remove(directory)
        fail(NO_ROOM, "cannot unpack: %s" % error)


def main() -> None:
    check_file(sys.argv[1])
    files, arguments = payload(), sys.argv[2:]
    if arguments[:1] == ["--list"]:
        print("\n".join(files))
    elif arguments[:1] == ["--extract"]:
        if len(arguments) != 2:
            fail(2, "usage: --extract DIR")
        extract(files, arguments[1])
    else:
        run(files, arguments)


main()
