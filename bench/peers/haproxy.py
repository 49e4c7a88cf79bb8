"""haproxy in TCP mode: one process with one thread, from `entry` to the listener at `exit`."""

from __future__ import annotations

from pathlib import Path

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
    bind 127.0.0.1:{entry}
    server far 127.0.0.1:{exit}
"""


def processes(scratch: Path, ports: Ports) -> list[Process]:
    """Returns the processes to start: one haproxy, in the foreground."""
    config = scratch / "haproxy.cfg"
    config.write_text(CONFIG.format(entry=ports.entry, exit=ports.exit))
    return [Process([require("haproxy"), "-db", "-q", "-f", str(config)], ports.entry)]
