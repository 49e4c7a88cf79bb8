"""Launchers: one file per job system; the table of them is here."""

from __future__ import annotations

from medusa.client.launchers.base import Launcher
from medusa.client.launchers.local import LocalLauncher

LAUNCHERS: dict[str, type[Launcher]] = {LocalLauncher.name: LocalLauncher}
"""The name that --launcher takes -> the class."""
