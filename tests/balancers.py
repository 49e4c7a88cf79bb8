"""HAProxy and nginx in front of several reflectors: each connection goes to any of them, in plain."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.proxies import running, tool

_HAPROXY = """
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

_NGINX = """
daemon off;
worker_processes 1;
pid {scratch}/pid;
error_log stderr;
events {{ }}
http {{
    access_log off;
    proxy_max_temp_file_size 0;
    {temporary}
    upstream site {{
        random;
{servers}
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://site;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
            proxy_set_header Host localhost;
            proxy_next_upstream error timeout http_503;
        }}
    }}
}}
"""


@contextlib.contextmanager
def haproxy(scratch: Path, ports: Sequence[int]) -> Iterator[int]:
    """Gives its port."""
    program = tool("haproxy")
    with socket.create_server(("127.0.0.1", 0), backlog=128) as entry:
        servers = "\n".join(f"    server s{port} 127.0.0.1:{port}" for port in ports)
        config = scratch / "haproxy.cfg"
        config.write_text(_HAPROXY.format(fd=entry.fileno(), servers=servers))
        with running([program, "-db", "-f", str(config)], scratch, [entry.fileno()], {}):
            yield entry.getsockname()[1]


@contextlib.contextmanager
def nginx(scratch: Path, ports: Sequence[int]) -> Iterator[int]:
    """Gives its port."""
    program = tool("nginx")
    with socket.create_server(("127.0.0.1", 0), backlog=128) as entry:
        own = entry.getsockname()[1]
        servers = "\n".join(f"        server 127.0.0.1:{port} max_fails=0;" for port in ports)
        names = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        temporary = " ".join(f"{name}_temp_path {scratch}/{name};" for name in names)
        config = scratch / "nginx.conf"
        config.write_text(_NGINX.format(scratch=scratch, temporary=temporary, servers=servers, port=own))
        command = [program, "-p", str(scratch), "-c", str(config), "-e", "stderr"]
        with running(command, scratch, [entry.fileno()], {"NGINX": f"{entry.fileno()};"}):
            yield own
