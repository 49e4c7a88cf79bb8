"""Launchers: one file or package for each job system. Loads the one that is asked for, also from other packages.

base        what every launcher is: Launcher, Settings, JobRequest, JobState; public
existing    an agent that is started elsewhere: --session
kubernetes  jobs and containers of a Kubernetes cluster
local       a process on this machine
manta       jobs of a Manta
manual      the user starts the agent
polled      base for job systems that a thread has to ask; public
script      the agent's archive with its settings in one file; public
slurm       jobs of a Slurm cluster
ssh         a host that the user's own ssh reaches
"""

from __future__ import annotations

import importlib
from importlib.metadata import EntryPoint, entry_points

from medusa.client.launchers.base import Launcher
from medusa.client.outcome import Failure
from medusa.protocol.printable import printable

GROUP = "medusa.launchers"
"""Group of the entry points by which other packages add launchers: a name for --launcher, and a Launcher class."""

EXISTING = "held"
"""The launcher that --session chooses; --launcher does not take it."""

OURS = {
    EXISTING: "medusa.client.launchers.existing:ExistingLauncher",
    "kubernetes": "medusa.client.launchers.kubernetes.launcher:KubernetesLauncher",
    "local": "medusa.client.launchers.local:LocalLauncher",
    "manta": "medusa.client.launchers.manta.launcher:MantaLauncher",
    "manual": "medusa.client.launchers.manual:ManualLauncher",
    "slurm": "medusa.client.launchers.slurm.launcher:SlurmLauncher",
    "ssh": "medusa.client.launchers.ssh.launcher:SshLauncher",
}
"""Name -> module and class, written as in an entry point."""


def names() -> list[str]:
    """All names that --launcher takes, sorted."""
    return sorted({*OURS, *(found.name for found in entry_points(group=GROUP))} - {EXISTING})


def find(name: str) -> type[Launcher]:
    """The launcher of that name. If another package has one of the same name, Medusa's own is taken.

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
