"""Medians, ratios, the text table and the machine's description."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import statistics
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.rows import Figure
from bench.toolchain import installed_versions

YARDSTICK = "ws"
_PYTHON_PACKAGES = ("gevent", "greenlet", "gevent-websocket", "websockets")


@dataclass(frozen=True)
class Line:
    """One figure, with every relay's samples, one a run; an empty list where it could not be measured."""

    figure: Figure
    samples: dict[str, list[float]]

    def median(self, relay: str) -> float | None:
        """The median of a relay's samples, or None."""
        return statistics.median(self.samples[relay]) if self.samples.get(relay) else None

    def ratio(self, relay: str) -> float | None:
        """The median divided by the yardstick's."""
        ours, theirs = self.median(relay), self.median(YARDSTICK)
        return None if ours is None or not theirs else ours / theirs


def table(lines: list[Line], relays: list[str]) -> str:
    """The text table: medians, then each relay's ratio to the yardstick; `v` marks figures where lower is better."""
    rated = [name for name in relays if name != YARDSTICK and YARDSTICK in relays]
    head = ["", "unit", *relays, *(f"{name}/{YARDSTICK}" for name in rated)]
    body = [
        [
            line.figure.title + ("" if line.figure.higher_is_better else " v"),
            line.figure.unit,
            *(_number(line.median(name)) for name in relays),
            *(_number(line.ratio(name)) for name in rated),
        ]
        for line in lines
    ]
    widths = [max(len(row[column]) for row in [head, *body]) for column in range(len(head))]
    return "\n".join(_aligned(row, widths) for row in [head, *body])


def _aligned(row: list[str], widths: list[int]) -> str:
    left = [cell.ljust(width) for cell, width in zip(row[:2], widths, strict=False)]
    return "  ".join(left + [cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=True)]).rstrip()


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def machine() -> dict[str, str]:
    """What the figures were measured on: processor, cores, kernel, interpreters and package versions."""
    facts = {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "node": _output(["node", "--version"]).lstrip("v"),
    }
    facts.update((name, _python_package(name)) for name in _PYTHON_PACKAGES)
    facts.update((f"npm {name}", version) for name, version in installed_versions().items())
    return facts


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _python_package(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


def _output(command: list[str]) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "absent"
