"""A container: the pod's command as the first process in namespaces of its own, made by bubblewrap."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from tests import zones
from tests.kube.objects import now

Mount = tuple[Path, str, bool]


class Container:
    """Attributes:
    begun: when it started, as the API writes times.
    """

    def __init__(
        self,
        pod: dict[str, Any],
        container: dict[str, Any],
        image: str,
        mounts: list[Mount],
        directory: Path,
    ) -> None:
        self.begun = now()
        self._log = directory / "log"
        self._kill_at: float | None = None
        environ = {"PATH": zones.search_path() if image == "full" else "/bin", "HOME": "/root"}
        environ |= {"HOSTNAME": pod["metadata"]["name"]}
        environ |= {variable["name"]: variable["value"] for variable in container.get("env", ())}
        security = {**pod["spec"].get("securityContext", {}), **container.get("securityContext", {})}
        argv = _bubblewrap(pod["metadata"]["name"], image, mounts, security)
        argv += [*_as_user(security), *container["command"], *container.get("args", ())]
        with self._log.open("wb") as log:
            stdin = subprocess.PIPE if container.get("stdin") else subprocess.DEVNULL
            self._process = subprocess.Popen(
                argv, stdin=stdin, stdout=log, stderr=log, env=environ, start_new_session=True
            )

    def status(self) -> int | None:
        """The exit status, None while it runs. Kills the container if its grace period is over."""
        if self._kill_at is not None and time.monotonic() >= self._kill_at:
            self._process.kill()
        code = self._process.poll()
        return 128 - code if code is not None and code < 0 else code

    def end(self, grace: float) -> None:
        """Sends SIGTERM to the first process, and SIGKILL to all after `grace` seconds; 0: only SIGKILL."""
        if self._kill_at is None:
            self._kill_at = time.monotonic() + grace
            if not grace:
                return
            for pid in Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGTERM)

    def kill(self) -> None:
        """Kills all processes at once: those that bubblewrap started die with it."""
        self._process.kill()
        self._process.wait()
        self.end_input()

    def write(self, data: bytes) -> None:
        """Writes to standard input; only for a container with `stdin: true`."""
        assert self._process.stdin is not None
        self._process.stdin.write(data)
        self._process.stdin.flush()

    def end_input(self) -> None:
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    def log(self) -> bytes:
        return self._log.read_bytes()


def _bubblewrap(name: str, image: str, mounts: list[Mount], security: dict[str, Any]) -> list[str]:
    argv = ["bwrap", "--unshare-pid", "--as-pid-1", "--unshare-ipc", "--die-with-parent"]
    argv += ["--unshare-uts", "--hostname", name]
    argv += zones.programs() if image == "full" else _busybox()
    argv += ["--proc", "/proc", "--dev", "/dev", "--dir", "/root", "--dir", "/tmp", "--chmod", "1777", "/tmp"]
    for source, place, read_only in mounts:
        for above in [*Path(place).parents][-2::-1]:
            argv += ["--perms", "0755", "--dir", str(above)]
        argv += ["--ro-bind" if read_only else "--bind", str(source), place]
    if security.get("readOnlyRootFilesystem"):
        argv += ["--remount-ro", "/"]
    return [*argv, "--chdir", "/", "--"]


def _as_user(security: dict[str, Any]) -> list[str]:
    user = security.get("runAsUser")
    return [] if user is None else ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--"]


def _busybox() -> list[str]:
    program = subprocess.run(["sh", "-c", "command -v busybox"], check=True, capture_output=True, text=True).stdout
    applets = subprocess.run([program.strip(), "--list"], check=True, capture_output=True, text=True).stdout.split()
    argv = ["--ro-bind", program.strip(), "/bin/busybox", *zones.system("usr/lib", "usr/lib32", "usr/lib64")]
    for applet in {*applets} - {"busybox"}:
        argv += ["--symlink", "busybox", f"/bin/{applet}"]
    return [*argv, *zones.system("lib", "lib32", "lib64")]
