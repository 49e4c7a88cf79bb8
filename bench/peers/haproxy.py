"""haproxy in TCP mode: one process with one thread, from `entry` to the listener at `exit`, with TLS or without."""

from __future__ import annotations

from pathlib import Path

from bench import certificate
from bench.peers.forwarder import Ports, Process
from bench.toolchain import require

CONFIG = """\
global
    nbthread 1
    maxconn 1000
    tune.bufsize 65536
defaults
    mode tcp
    option splice-auto
    timeout connect 10s
    timeout client 10m
    timeout server 10m
listen bench
    bind 127.0.0.1:{entry}{bind_tls}
    server far 127.0.0.1:{exit}{server_tls}
"""


def processes(scratch: Path, ports: Ports) -> list[Process]:
    """Returns the processes to start: one haproxy, in the foreground."""
    return _processes(scratch, ports, "", "")


def processes_with_tls(scratch: Path, ports: Ports) -> list[Process]:
    """Returns the processes to start, as `processes` does. haproxy then speaks TLS at both ends."""
    return _processes(scratch, ports, f" ssl crt {certificate.made()}", " ssl verify none no-ssl-reuse")


def _processes(scratch: Path, ports: Ports, bind_tls: str, server_tls: str) -> list[Process]:
    config = scratch / "haproxy.cfg"
    config.write_text(CONFIG.format(entry=ports.entry, exit=ports.exit, bind_tls=bind_tls, server_tls=server_tls))
    return [Process([require("haproxy"), "-db", "-q", "-f", str(config)], ports.entry)]
