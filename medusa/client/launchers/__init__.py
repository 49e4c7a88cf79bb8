"""The launchers, which start the agent: one module or package for each job system. Finds a launcher by its name.

Other Python packages can add launchers, by an entry point. They may use the modules that are marked "public" below.

base        the base class Launcher, with Settings, JobRequest and JobState; public
compiled    keeps the modules of the agent compiled, for local jobs
existing    starts nothing: waits for an agent that is started elsewhere (--session)
kubernetes  jobs and containers of a Kubernetes cluster
local       a process on this machine
manta       jobs of a Manta
manual      prints a command line by which the user starts the agent
polled      the base classes for job systems that have to be asked again and again; public
script      joins the agent's settings and its archive into one shell script; public
slurm       jobs of a Slurm cluster
ssh         a host that the user's `ssh` command reaches
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING

from medusa.client.outcome import Failure
from medusa.option_types import did_you_mean
from medusa.protocol.printable import printable

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from medusa.client.launchers.base import Launcher

GROUP = "medusa.launchers"
"""The group of the entry points by which other packages add launchers.

An entry point has the name for --launcher, and refers to a subclass of Launcher.
"""

EXISTING = "held"
"""The name of the launcher that --session selects. It cannot be given to --launcher."""

OURS = {
    EXISTING: "medusa.client.launchers.existing:ExistingLauncher",
    "kubernetes": "medusa.client.launchers.kubernetes.launcher:KubernetesLauncher",
    "local": "medusa.client.launchers.local:LocalLauncher",
    "manta": "medusa.client.launchers.manta.launcher:MantaLauncher",
    "manual": "medusa.client.launchers.manual:ManualLauncher",
    "slurm": "medusa.client.launchers.slurm.launcher:SlurmLauncher",
    "ssh": "medusa.client.launchers.ssh.launcher:SshLauncher",
}
"""Medusa's own launchers: name -> `module:class`, as an entry point writes it."""

SHORT = {"k8s": "kubernetes"}
"""Other names for Medusa's own launchers: short -> full."""


def names() -> list[str]:
    """Returns all names that can be given to --launcher, sorted."""
    return sorted({*OURS, *(found.name for found in _others())} - {EXISTING})


def of_target(text: str) -> str | None:
    """Returns the launcher's name in `text`, if `text` has the form LAUNCHER:WORD. Otherwise returns None.

    Also returns None if there is no such launcher. `text` is the TARGET on mlogin's command line.
    """
    name, colon, _ = text.partition(":")
    name = SHORT.get(name, name)
    ours = name in OURS and name != EXISTING
    return name if colon and name and (ours or any(found.name == name for found in _others())) else None


def find(name: str) -> type[Launcher]:
    """Returns the launcher class with this name or short name.

    If a launcher of another package has the same name as one of Medusa's own, returns Medusa's own.

    Raises:
        Failure: no launcher has this name, or it cannot be loaded.
    """
    name = SHORT.get(name, name)
    if name in OURS:
        module, _, attribute = OURS[name].partition(":")
        ours: type[Launcher] = getattr(importlib.import_module(module), attribute)
        return ours
    for found in _others():
        if found.name == name:
            return _load(found)
    known = names()
    hint = did_you_mean(name, [*SHORT, *known])
    raise Failure(f"there is no launcher `{printable(name)}`; there are {', '.join(map(printable, known))}{hint}")


def _others() -> list[EntryPoint]:
    """Returns the launchers of other packages."""
    if not _may_have_others():
        return []
    from importlib.metadata import entry_points  # takes long to import, and to read all packages

    return list(entry_points(group=GROUP))


def _may_have_others() -> bool:
    """Returns False if certainly no other package has launchers: no file of entry points names their group."""
    if any(hasattr(finder, "find_distributions") and finder is not PathFinder for finder in sys.meta_path):
        return True
    for place in map(Path, sys.path):
        try:
            names = os.listdir(place)
        except NotADirectoryError:  # such as a zip file
            return True
        except OSError:
            continue
        for name in names:
            if name.endswith((".dist-info", ".egg-info", "EGG-INFO")):
                with contextlib.suppress(OSError):
                    if GROUP.encode() in (place / name / "entry_points.txt").read_bytes():
                        return True
    return False


def _load(found: EntryPoint) -> type[Launcher]:
    from medusa.client.launchers.base import Launcher

    package = found.dist.name if found.dist else "an unknown package"
    words = printable(f"the launcher `{found.name}` ({found.value} of {package})")
    try:
        launcher = found.load()
    except Exception as error:
        raise Failure(f"{words} does not load: {printable(repr(error))}") from error
    if not (isinstance(launcher, type) and issubclass(launcher, Launcher)):
        raise Failure(f"{words} is no subclass of {Launcher.__module__}.{Launcher.__qualname__}")
    return launcher
