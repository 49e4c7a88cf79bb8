"""An sshd, `ssh` to it, and `ssh -L` through it, directly or through a jump host.

The jump host is the same sshd, so it encrypts all twice.

The sshd has its own keys and configuration and listens on loopback. It uses no password, agent or file of the user.
The processes of ssh and sshd share the one core that a relay has.
"""

from __future__ import annotations

import getpass
import os
import subprocess
from pathlib import Path

from bench.peers.forwarder import Ports, Process
from bench.toolchain import Unavailable, require

PRIVILEGE_SEPARATION = Path("/run/sshd")
"""The empty directory that an sshd run by root needs for its children. Usually the system's service creates it."""

SERVER = """\
ListenAddress {host}:{port}
HostKey {scratch}/host
AuthorizedKeysFile {scratch}/user.pub
AuthenticationMethods publickey
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
UseDNS no
PidFile none
AllowTcpForwarding local
Subsystem sftp internal-sftp
"""

CLIENT = """\
Host target jump
    HostName {host}
    Port {port}
    User {user}
    HostKeyAlias bench
    IdentityFile {scratch}/user
    IdentitiesOnly yes
    IdentityAgent none
    UserKnownHostsFile {scratch}/known_hosts
    GlobalKnownHostsFile /dev/null
    StrictHostKeyChecking yes
    BatchMode yes
    ExitOnForwardFailure yes
"""


def processes(scratch: Path, ports: Ports) -> list[Process]:
    """Returns the processes to start: the sshd, and the ssh that listens at `entry`."""
    return [_server(scratch, ports.inner), _client(scratch, ports, [])]


def processes_with_jump(scratch: Path, ports: Ports) -> list[Process]:
    """Returns the processes to start: the sshd, and an ssh that listens at `entry` and uses a jump host."""
    return [_server(scratch, ports.inner), _client(scratch, ports, ["-J", "jump"])]


def session(scratch: Path, port: int, host: str = "127.0.0.1") -> tuple[Process, list[str]]:
    """Returns the sshd to start, and the command line to which a command for the sshd's machine is added.

    Args:
        port, host: where the sshd shall listen.
    """
    server = _server(scratch, port, host)
    return server, [require("ssh"), "-q", "-F", str(_config(scratch, port, host)), "target"]


def _server(scratch: Path, port: int, host: str = "127.0.0.1") -> Process:
    sshd = require("sshd")
    for name in ("host", "user"):
        command = [require("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-C", "bench", "-f", str(scratch / name)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    (scratch / "known_hosts").write_text("bench " + (scratch / "host.pub").read_text())
    (scratch / "sshd_config").write_text(SERVER.format(host=host, port=port, scratch=scratch))
    _make_directory()
    return Process([sshd, "-D", "-e", "-f", str(scratch / "sshd_config")], port)


def _client(scratch: Path, ports: Ports, options: list[str]) -> Process:
    forward = f"127.0.0.1:{ports.entry}:127.0.0.1:{ports.exit}"
    return Process(
        [require("ssh"), "-F", str(_config(scratch, ports.inner)), "-N", "-L", forward, *options, "target"], ports.entry
    )


def _config(scratch: Path, port: int, host: str = "127.0.0.1") -> Path:
    config = scratch / "ssh_config"
    config.write_text(CLIENT.format(host=host, port=port, user=getpass.getuser(), scratch=scratch))
    return config


def _make_directory() -> None:
    if os.geteuid() != 0:
        return
    try:
        PRIVILEGE_SEPARATION.mkdir(mode=0o755, exist_ok=True)
    except OSError as error:
        raise Unavailable(f"an sshd of root needs {PRIVILEGE_SEPARATION}: {error}") from error
