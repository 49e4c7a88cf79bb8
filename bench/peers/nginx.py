"""nginx as a proxy for upgraded HTTP connections: one process, from `entry` to the listener at `exit`, both with TLS.

Debian's package `nginx` has no module for plain TCP.
"""

from __future__ import annotations

from pathlib import Path

from bench import certificate
from bench.peers.forwarder import Ports, Process
from bench.toolchain import require

CONFIG = """\
daemon off;
master_process off;
pid {scratch}/nginx.pid;
error_log stderr error;
events {{
    worker_connections 1000;
}}
http {{
    access_log off;
    client_body_temp_path {scratch}/body;
    proxy_temp_path {scratch}/proxy;
    fastcgi_temp_path {scratch}/fastcgi;
    uwsgi_temp_path {scratch}/uwsgi;
    scgi_temp_path {scratch}/scgi;
    server {{
        listen 127.0.0.1:{entry} ssl;
        ssl_certificate {pem};
        ssl_certificate_key {pem};
        ssl_protocols TLSv1.2 TLSv1.3;
        location / {{
            proxy_pass https://127.0.0.1:{exit};
            proxy_ssl_protocols TLSv1.2 TLSv1.3;
            proxy_ssl_session_reuse off;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
            proxy_buffer_size 64k;
            proxy_buffers 4 64k;
            proxy_read_timeout 10m;
        }}
    }}
}}
"""


def processes(scratch: Path, ports: Ports) -> list[Process]:
    """Returns the processes to start: one nginx, in the foreground."""
    config = scratch / "nginx.conf"
    config.write_text(CONFIG.format(entry=ports.entry, exit=ports.exit, scratch=scratch, pem=certificate.made()))
    return [Process([require("nginx"), "-q", "-e", "stderr", "-p", str(scratch), "-c", str(config)], ports.entry)]
