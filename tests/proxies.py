"""Real proxies from the samples under deploy/, with nothing changed but places: ports, certificates, directories."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from tests.links import CERTIFICATE
from tests.reflectors import ROOT
from tests.waiting import PATIENCE

DEPLOY = ROOT / "deploy"
PROXY = "127.0.0.2"
"""Where the samples connect from."""

_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])


def tool(name: str) -> str:
    """Its path; skips the test where it is missing."""
    path = shutil.which(name, path=_PATH)
    if path is None:
        pytest.skip(f"needs {name}")
    return path


def rendered(sample: str, changes: Mapping[str, str]) -> str:
    """A sample with each of `changes` made, every one of which must be there to make."""
    text = (DEPLOY / sample).read_text()
    for before, after in changes.items():
        assert before in text, f"{sample} has no {before!r}"
        text = text.replace(before, after)
    return text


@contextlib.contextmanager
def haproxy(scratch: Path, port: int) -> Iterator[int]:
    """HAProxy in front of a reflector's port; gives its own. It takes over a socket, so that no port is raced for."""
    program = tool("haproxy")
    with socket.create_server(("127.0.0.1", 0), backlog=128) as entry:
        changes = {
            "bind :443 ssl crt /etc/haproxy/medusa.pem": f"bind fd@{entry.fileno()} ssl crt {CERTIFICATE}",
            "server one 127.0.0.1:8381": f"server one 127.0.0.1:{port}",
            "maxconn 40000": "maxconn 100",
        }
        config = scratch / "haproxy.cfg"
        config.write_text(rendered("haproxy.cfg", changes))
        command = [program, "-db", "-f", str(config)]
        with running(command, scratch, [entry.fileno()], {}):
            yield entry.getsockname()[1]


@contextlib.contextmanager
def nginx(scratch: Path, port: int) -> Iterator[int]:
    """The same with nginx, whose own way to take over a socket is the variable NGINX."""
    program = tool("nginx")
    with socket.create_server(("127.0.0.1", 0), backlog=128) as entry:
        own = entry.getsockname()[1]
        changes = {
            "listen 443 ssl;": f"listen 127.0.0.1:{own} ssl;",
            "/etc/nginx/medusa.pem": str(CERTIFICATE),
            "server 127.0.0.1:8381": f"server 127.0.0.1:{port}",
        }
        (scratch / "medusa.conf").write_text(rendered("nginx.conf", changes))
        temporary = [f"{name}_temp_path {scratch}/{name};" for name in ("client_body", *_NGINX_USES)]
        top = ["daemon off;", "worker_processes 1;", f"pid {scratch}/pid;", "error_log stderr;", "events {}"]
        http = [
            "http {",
            "access_log off;",
            "proxy_max_temp_file_size 0;",
            *temporary,
            f"include {scratch}/medusa.conf;",
            "}",
        ]
        (scratch / "nginx.conf").write_text("\n".join([*top, *http, ""]))
        command = [program, "-p", str(scratch), "-c", str(scratch / "nginx.conf"), "-e", "stderr"]
        with running(command, scratch, [entry.fileno()], {"NGINX": f"{entry.fileno()};"}):
            yield own


_NGINX_USES = ("proxy", "fastcgi", "uwsgi", "scgi")


@contextlib.contextmanager
def running(command: Sequence[str], scratch: Path, fds: Sequence[int], more: Mapping[str, str]) -> Iterator[None]:
    """A proxy that takes over the sockets `fds`; `more`: of its environment."""
    with open(scratch / "proxy.log", "wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=fds, env={**os.environ, **more}
        )
    try:
        yield
        assert process.poll() is None, (scratch / "proxy.log").read_text()
    finally:
        process.terminate()  # nginx has a child, which it ends only when it is asked
        process.wait(PATIENCE)


def verified(unit: Path) -> str:
    """What systemd has to say against a unit."""
    command = [tool("systemd-analyze"), "verify", "--man=no", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    return done.stdout + done.stderr + (f"status {done.returncode}" if done.returncode else "")
