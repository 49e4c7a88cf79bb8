"""The line that shows how far a copy is."""

from __future__ import annotations

from medusa.client.files.report import Report

_UNITS = ("B", "kB", "MB", "GB", "TB")
_WIDTH = 24


def size_of(count: float) -> str:
    """Returns a number of bytes as people read it, such as `1.5 MB`."""
    for unit in _UNITS:
        if count < 999.5 or unit == _UNITS[-1]:
            break
        count /= 1000
    return f"{count:.0f} {unit}" if unit == "B" or count >= 99.95 else f"{count:.1f} {unit}"


def line(report: Report, seconds: float) -> str:
    """Returns the line. `seconds`: the time since the copy has begun."""
    speed = report.done / seconds if seconds > 0 else 0.0
    part = min(1.0, report.done / report.total) if report.total else 0.0
    bar = ("=" * int(part * _WIDTH) + ">")[:_WIDTH].ljust(_WIDTH)
    left = (report.total - report.done) / speed if speed else 0.0
    minutes, rest = divmod(int(max(0.0, left)), 60)
    files = f"{report.files} file{'' if report.files == 1 else 's'}"
    sizes = f"{size_of(report.done)} of {size_of(report.total)}"
    return f"[{bar}] {part:4.0%}  {sizes}, {files}, {size_of(speed)}/s, {minutes}:{rest:02} left"
