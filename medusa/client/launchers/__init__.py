"""Launchers: one file per job system; the table of them is here."""

from __future__ import annotations

from medusa.client.launchers.base import Launcher
from medusa.client.launchers.local import LocalLauncher
from medusa.client.launchers.manta import MantaLauncher
from medusa.client.launchers.manual import ManualLauncher

LAUNCHERS: dict[str, type[Launcher]] = {
    launcher.name: launcher for launcher in (LocalLauncher, MantaLauncher, ManualLauncher)
}
"""The name that --launcher takes -> the class."""
