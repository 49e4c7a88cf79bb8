"""What a browser does with Jupyter, as a program: opens the page, starts a kernel, and runs a cell.

`python kernel.py URL CELL`: URL is what Jupyter has printed, with its token. Prints what the cell prints.
"""

from __future__ import annotations

import json
import sys
import uuid
from urllib.parse import urlsplit

import requests
from websockets.sync.client import connect


def run(url: str, cell: str) -> str:
    """The output of the cell in a new kernel, which is removed afterwards."""
    token = urlsplit(url).query
    base = f"http://{urlsplit(url).netloc}"
    assert requests.get(f"{base}/api/kernels", timeout=60).status_code == 403  # without the token
    requests.get(url, timeout=60).raise_for_status()
    kernel = requests.post(f"{base}/api/kernels?{token}", timeout=60).json()["id"]
    try:
        with connect(f"ws{base[4:]}/api/kernels/{kernel}/channels?{token}", open_timeout=60) as channels:
            channels.send(json.dumps(_request(cell)))
            return "".join(iter(lambda: _output(json.loads(channels.recv(60))), None))
    finally:
        requests.delete(f"{base}/api/kernels/{kernel}?{token}", timeout=60)


def _request(cell: str) -> dict[str, object]:
    header = {"msg_id": "cell", "msg_type": "execute_request", "session": uuid.uuid4().hex, "username": "", "date": ""}
    content = {"code": cell, "silent": False, "store_history": False, "allow_stdin": False, "stop_on_error": True}
    return {"header": {**header, "version": "5.3"}, "parent_header": {}, "metadata": {}, "content": content}


def _output(message: dict[str, dict[str, str]]) -> str | None:
    """What this message of the kernel prints; None if the cell has been run."""
    kind, content = message["header"]["msg_type"], message["content"]
    if message["parent_header"].get("msg_id") != "cell":
        return ""
    if kind == "status" and content["execution_state"] == "idle":
        return None
    return content["text"] if kind == "stream" else ""


if __name__ == "__main__":
    print(run(*sys.argv[1:]), end="")
