"""HAProxy and nginx in front of several reflectors: each connection goes to any of them, without TLS."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from tests.proxies import run_haproxy, run_nginx

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
"""


def haproxy(scratch: Path, ports: Sequence[int]) -> contextlib.AbstractContextManager[int]:
    """Gives its port."""
    servers = "\n".join(f"    server s{port} 127.0.0.1:{port}" for port in ports)
    return run_haproxy(scratch, lambda fd: _HAPROXY.format(fd=fd, servers=servers))


def nginx(scratch: Path, ports: Sequence[int]) -> contextlib.AbstractContextManager[int]:
    """Gives its port."""
    servers = "\n".join(f"        server 127.0.0.1:{port} max_fails=0;" for port in ports)
    return run_nginx(scratch, lambda own: _NGINX.format(servers=servers, port=own))
