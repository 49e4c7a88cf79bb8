"""Real proxies, from the samples under deploy/ with other ports, certificates and directories, or from a config."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from tests.links import CERTIFICATE
from tests.ports import free_port, listens
from tests.reflectors import ROOT
from tests.waiting import PATIENCE, wait_until

DEPLOY = ROOT / "deploy"
PROXY = "127.0.0.2"
"""The address that the samples connect from."""

_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])


def tool(name: str) -> str:
    """The path of a program; skips the test if it is missing."""
    path = shutil.which(name, path=_PATH)
    if path is None:
        pytest.skip(f"needs {name}")
    return path


def rendered(sample: str, changes: Mapping[str, str]) -> str:
    """A sample with `changes`: text before -> text after. Fails if a text is not in it."""
    text = (DEPLOY / sample).read_text()
    for before, after in changes.items():
        assert before in text, f"{sample} has no {before!r}"
        text = text.replace(before, after)
    return text


def haproxy(scratch: Path, port: int) -> contextlib.AbstractContextManager[int]:
    """HAProxy from the sample, in front of a reflector's port. Gives its own port."""
    changes = {"server one 127.0.0.1:8381": f"server one 127.0.0.1:{port}", "maxconn 40000": "maxconn 100"}
    bind = "bind :443 ssl crt /etc/haproxy/medusa.pem"
    return _run_haproxy(
        scratch, lambda fd: rendered("haproxy.cfg", {**changes, bind: f"bind fd@{fd} ssl crt {CERTIFICATE}"})
    )


def balancer(scratch: Path, ports: Sequence[int]) -> contextlib.AbstractContextManager[int]:
    """HAProxy in front of several reflectors: each connection goes to any of them, without TLS. Gives its port."""
    servers = "\n".join(f"    server s{port} 127.0.0.1:{port}" for port in ports)
    return _run_haproxy(scratch, lambda fd: _BALANCER.format(fd=fd, servers=servers))


_BALANCER = """
defaults
    mode http
    timeout connect 2s
    timeout client 60s
    timeout server 60s
    timeout tunnel 60s
listen site
    bind fd@{fd}
    balance random
    option redispatch 1
    retries 5
    retry-on conn-failure empty-response 503
    option httpchk GET /readyz
    default-server check inter 100ms fall 1 rise 1
{servers}
"""


def talkative(scratch: Path, port: int) -> contextlib.AbstractContextManager[int]:
    """HAProxy in front of a reflector: it sends 103, repeats fields, and redirects below /moved. Gives its port."""
    return _run_haproxy(scratch, lambda fd: _TALKATIVE.format(fd=fd, port=port))


_TALKATIVE = """
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
listen talkative
    bind fd@{fd}
    http-request redirect scheme https code 308 if {{ path_beg /moved/ }}
    http-request early-hint Link "</style.css>; rel=preload"
    http-request early-hint Link "</script.js>; rel=preload"
    http-response add-header Date "Sun, 06 Nov 1994 08:49:37 GMT"
    http-response add-header Server one
    http-response add-header Server two
    server s 127.0.0.1:{port}
"""


def demanding(scratch: Path, port: int, token: str, login: str) -> contextlib.AbstractContextManager[int]:
    """HAProxy in front of a reflector: refuses requests without two header fields, and passes on neither. Its port."""
    return _run_haproxy(scratch, lambda fd: _DEMANDING.format(fd=fd, port=port, token=token, login=login))


_DEMANDING = """
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
listen demanding
    bind fd@{fd}
    http-request deny unless {{ req.hdr(x-front) -m str "{token}" }} {{ req.hdr(authorization) -m str "{login}" }}
    http-request del-header authorization
    http-request del-header x-front
    server s 127.0.0.1:{port}
"""


@contextlib.contextmanager
def _run_haproxy(scratch: Path, config: Callable[[int], str]) -> Iterator[int]:
    """Runs HAProxy; gives its port. `config` gets the descriptor of the socket that it takes over."""
    program = tool("haproxy")
    with socket.create_server(("127.0.0.1", 0), backlog=128) as entry:
        (scratch / "haproxy.cfg").write_text(config(entry.fileno()))
        with _running([program, "-db", "-f", str(scratch / "haproxy.cfg")], scratch, entry, {}):
            yield entry.getsockname()[1]


@contextlib.contextmanager
def nginx(scratch: Path, port: int) -> Iterator[int]:
    """nginx from the sample, in front of a reflector's port. Gives its own port.

    The variable NGINX is nginx's own way to take over a socket.
    """
    program = tool("nginx")
    changes = {"/etc/nginx/medusa.pem": str(CERTIFICATE), "server 127.0.0.1:8381": f"server 127.0.0.1:{port}"}
    with socket.create_server(("127.0.0.1", 0), backlog=128) as entry:
        config, own = scratch / "nginx.conf", entry.getsockname()[1]
        http = rendered("nginx.conf", {**changes, "listen 443 ssl;": f"listen 127.0.0.1:{own} ssl;"})
        config.write_text(_NGINX.format(scratch=scratch, http=http))
        command = [program, "-p", str(scratch), "-c", str(config), "-e", "stderr"]
        with _running(command, scratch, entry, {"NGINX": f"{entry.fileno()};"}):
            yield own


_NGINX = """
daemon off;
worker_processes 1;
pid {scratch}/pid;
error_log stderr;
events {{ }}
http {{
    access_log off;
    proxy_max_temp_file_size 0;
    client_body_temp_path {scratch}/client_body;
    proxy_temp_path {scratch}/proxy;
    fastcgi_temp_path {scratch}/fastcgi;
    uwsgi_temp_path {scratch}/uwsgi;
    scgi_temp_path {scratch}/scgi;
    {http}
}}
"""


@contextlib.contextmanager
def _running(command: Sequence[str], scratch: Path, entry: socket.socket, more: Mapping[str, str]) -> Iterator[None]:
    """A proxy that takes over the socket `entry`, so that no other process can get its port. `more`: environment."""
    environment = {**os.environ, **more}
    with open(scratch / "proxy.log", "wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=[entry.fileno()], env=environment
        )
    try:
        yield
        assert process.poll() is None, (scratch / "proxy.log").read_text()
    finally:
        process.terminate()  # by SIGKILL nginx would leave its child behind
        process.wait(PATIENCE)


def verified(unit: Path) -> str:
    """What systemd finds wrong with a unit."""
    command = [tool("systemd-analyze"), "verify", "--man=no", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    return done.stdout + done.stderr + (f"status {done.returncode}" if done.returncode else "")


@contextlib.contextmanager
def tinyproxy(place: Path, *lines: str) -> Iterator[int]:
    """A proxy for CONNECT, with further `lines` in its configuration. Gives its port."""
    port = free_port()
    config = place / "tinyproxy.conf"
    config.write_text("\n".join([f"Port {port}", "Listen 127.0.0.1", "Timeout 60", "MaxClients 20", *lines, ""]))
    with subprocess.Popen([tool("tinyproxy"), "-d", "-c", str(config)], stdout=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: listens(port), "tinyproxy")
            yield port
        finally:
            process.terminate()
