"""Launchers: one file per job system, loaded when asked for. The table of ours, and the way to those of others."""

from __future__ import annotations

import importlib
from importlib.metadata import EntryPoint, entry_points

from medusa.client.launchers.base import Launcher
from medusa.client.outcome import Failure
from medusa.protocol.printable import printable

GROUP = "medusa.launchers"
"""Entry points of other packages: a name for --launcher = `package.module:Class`, a Launcher."""

HELD = "held"
"""What --session means; not to be asked for by --launcher."""

OURS = {
    HELD: "medusa.client.launchers.existing:HeldLauncher",
    "kubernetes": "medusa.client.launchers.kubernetes.launcher:KubernetesLauncher",
    "local": "medusa.client.launchers.local:LocalLauncher",
    "manta": "medusa.client.launchers.manta.launcher:MantaLauncher",
    "manual": "medusa.client.launchers.manual:ManualLauncher",
    "slurm": "medusa.client.launchers.slurm.launcher:SlurmLauncher",
    "ssh": "medusa.client.launchers.ssh.launcher:SshLauncher",
}
"""The name that --launcher takes -> the class, as an entry point says it."""


def names() -> list[str]:
    """All that can be asked for, sorted."""
    return sorted({*OURS, *(found.name for found in entry_points(group=GROUP))} - {HELD})


def find(name: str) -> type[Launcher]:
    """The launcher of that name; ours, where another package has one of the same name.

    Raises:
        Failure: there is none, or it cannot be loaded.
    """
    if name in OURS:
        module, _, attribute = OURS[name].partition(":")
        ours: type[Launcher] = getattr(importlib.import_module(module), attribute)
        return ours
    for found in entry_points(group=GROUP, name=name):
        return _load(found)
    raise Failure(f"there is no launcher `{printable(name)}`; there are {', '.join(map(printable, names()))}")


def _load(found: EntryPoint) -> type[Launcher]:
    package = found.dist.name if found.dist else "an unknown package"
    words = printable(f"the launcher `{found.name}` ({found.value} of {package})")
    try:
        launcher = found.load()
    except Exception as error:
        raise Failure(f"{words} does not load: {printable(repr(error))}") from error
    if not (isinstance(launcher, type) and issubclass(launcher, Launcher)):
        raise Failure(f"{words} is no subclass of {Launcher.__module__}.{Launcher.__qualname__}")
    return launcher
