"""The first Python code of the archive: checks and unpacks the payload, and calls agent/archived.py.

The stub passes this code to Python as a text. Then sys.argv is -c, the path of the archive, and the words of the user.
The code contains no single quote, because it stands between single quotes in a shell script. mkshar.sh fills in the
digest and the payload.
"""

from __future__ import annotations

import base64
import hashlib
import sys
import zlib
from typing import Any, Dict

DIGEST = "@DIGEST@"
PAYLOAD = """
@PAYLOAD@
"""
ENTRY = "agent/archived.py"


def files() -> Dict[str, bytes]:
    """Unpacks the payload, a tar archive of plain files. Returns the contents of its files by path.

    Exits with status 126 if the payload is damaged.
    """
    try:
        packed = base64.b64decode(PAYLOAD)
    except ValueError:
        packed = b""
    if hashlib.sha256(packed).hexdigest() != DIGEST:
        sys.stderr.write("medusa agent: the payload is damaged\n")
        sys.exit(126)
    data = zlib.decompress(packed, 31)
    found, at = {}, 0
    while data[at]:
        size = int(data[at + 124 : at + 135], 8)
        name = data[at : at + 100].rstrip(b"\0").decode()
        found[name] = data[at + 512 : at + 512 + size]
        at += 512 + (size + 511) // 512 * 512
    return found


def run(found: Dict[str, bytes]) -> int:
    scope: Dict[str, Any] = {"__name__": "agent.archived"}
    exec(compile(found[ENTRY], "agent.sh/" + ENTRY, "exec", dont_inherit=True), scope)  # noqa: S102
    status: int = scope["main"](found, sys.argv[1:])
    return status


sys.exit(run(files()))
