"""A root directory with busybox and glibc, and nothing else."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

OF_GLIBC = ("libc", "libm", "libdl", "libpthread", "libresolv", "librt", "libutil", "libnss_dns", "libnss_files")


def make_root(root: Path) -> Path:
    """Make links to busybox for all of its commands, and copy glibc's libraries to where this machine has them."""
    for name in ("bin", "dev", "etc", "proc", "tmp"):
        (root / name).mkdir(parents=True)
    busybox = shutil.which("busybox")
    assert busybox is not None
    shutil.copy(busybox, root / "bin" / "busybox")
    for name in subprocess.run([busybox, "--list"], check=True, capture_output=True, text=True).stdout.split():
        if name != "busybox":
            (root / "bin" / name).symlink_to("busybox")
    output = subprocess.run(["ldd", busybox], check=True, capture_output=True, text=True).stdout
    libraries = {Path(path) for path in re.findall(r"(/\S+) \(0x", output)}
    places = {path.parent for path in libraries}
    libraries |= {path for place in places for name in OF_GLIBC for path in place.glob(name + ".so.[0-9]")}
    for path in libraries:
        assert path.name.startswith(("ld-", *OF_GLIBC)), path
        (root / path.parent.relative_to("/")).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, root / path.relative_to("/"))
    return root


def inside(root: Path, *options: str) -> list[str]:
    """The words before a command that is to run in `root`. /tmp is in memory, unless `options` mount something else."""
    command = ["bwrap", "--unshare-all", "--share-net", "--die-with-parent", "--clearenv", "--setenv", "PATH", "/bin"]
    return [*command, "--ro-bind", str(root), "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", *options]
