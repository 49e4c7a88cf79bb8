"""A real sshd on loopback with keys of its own, and a user's ssh configuration and known hosts for it."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.ports import free_port
from tests.waiting import PATIENCE, wait_until

SSHD = shutil.which("sshd", path=os.environ["PATH"] + ":/usr/sbin:/sbin")
needs_sshd = pytest.mark.skipif(not (SSHD and shutil.which("ssh")), reason="needs sshd and ssh (openssh)")

PRIVILEGE_SEPARATION = Path("/run/sshd")
"""The directory that root's sshd needs for privilege separation."""

SERVER = """\
ListenAddress 127.0.0.1:{port}
HostKey {directory}/host
AuthorizedKeysFile {directory}/user.pub
AuthenticationMethods publickey
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
UseDNS no
PidFile none
LoginGraceTime 60
SetEnv TMPDIR={home} HOME={directory} PATH="{path}" {environ}
{more}
"""

CLIENT = """\
Host node
    HostName 127.0.0.1
    Port {port}
    User {user}
    IdentityFile {directory}/user
    IdentitiesOnly yes
    IdentityAgent none
    UserKnownHostsFile {directory}/known_hosts
    GlobalKnownHostsFile /dev/null
    StrictHostKeyChecking ask
"""


class Sshd:
    """Attributes:
    config: path of an ssh configuration, in which the host is called `node`.
    """

    def __init__(self, directory: Path, port: int, process: subprocess.Popen[bytes]) -> None:
        self.directory = directory
        self.port = port
        self.process = process
        self.config = directory / "config"

    def forget_host(self) -> None:
        (self.directory / "known_hosts").write_text("")

    def configure(self, *lines: str) -> None:
        """Adds lines to the user's configuration for `node`."""
        with self.config.open("a") as file:
            file.writelines(f"    {line}\n" for line in lines)

    def connections(self) -> list[int]:
        """The processes that serve connections."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return list(map(int, children.split()))

    def cut(self) -> None:
        """Kills the sshd processes of all connections; the users' processes go on."""
        for pid in self.connections():
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            for process in [*map(int, children), pid]:
                with contextlib.suppress(OSError):
                    if "sshd" in Path(f"/proc/{process}/comm").read_text():
                        os.kill(process, signal.SIGKILL)


@contextlib.contextmanager
def sshd(directory: Path, home: Path, more: str = "", environ: str = "", enter: Sequence[str] = ()) -> Iterator[Sshd]:
    """Serves the current user. The processes that it starts have `home` as their temporary directory.

    Their HOME is not the user's, whose start-up files may start programs that outlive a killed shell.

    Args:
        more: further lines of its configuration.
        environ: further variables, NAME=VALUE, of its processes.
        enter: a command that runs another one on the host of this sshd, in the same process.
    """
    assert SSHD is not None
    for name in ("host", "user"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(directory / name)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    port = free_port()
    filled = {"port": port, "directory": directory, "user": getpass.getuser(), "path": os.environ["PATH"]}
    filled |= {"home": home, "more": more, "environ": environ}
    (directory / "sshd_config").write_text(SERVER.format_map(filled))
    (directory / "config").write_text(CLIENT.format_map(filled))
    host = (directory / "host.pub").read_text()
    (directory / "known_hosts").write_text(f"[127.0.0.1]:{port} {host}")
    if os.geteuid() == 0:
        PRIVILEGE_SEPARATION.mkdir(mode=0o755, exist_ok=True)
    with (directory / "sshd.log").open("wb") as log:
        arguments = [*enter, SSHD, "-D", "-e", "-f", str(directory / "sshd_config")]
        process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stderr=log, env={"PATH": os.environ["PATH"]})
    try:
        wait_until(lambda: b"Server listening" in (directory / "sshd.log").read_bytes(), "sshd")
        served = Sshd(directory, port, process)
        yield served
        wait_until(lambda: not served.connections(), "the end of all connections")
    finally:
        process.kill()
        process.wait(PATIENCE)
