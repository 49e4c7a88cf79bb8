"""A directory whose answers are timed."""

from __future__ import annotations

import functools
import time
from typing import Any, cast

from medusa.directory import Directory, DirectoryError
from medusa.reflector.metrics import Metrics


def measured(directory: Directory, metrics: Metrics) -> Directory:
    """`directory`, with what each of its methods takes, and how often it fails, told to `metrics`."""
    return cast("Directory", _Measured(directory, metrics))


class _Measured:
    """Of whatever methods there are: a new one needs no mention here."""

    def __init__(self, directory: Directory, metrics: Metrics) -> None:
        self._directory = directory
        self._metrics = metrics

    def __getattr__(self, name: str) -> Any:
        """Asked for once: the timed method is then an attribute."""
        method = getattr(self._directory, name)

        @functools.wraps(method)
        def timed(*args: Any, **keywords: Any) -> Any:
            begun, failed = time.monotonic(), False
            try:
                return method(*args, **keywords)
            except DirectoryError:
                failed = True
                raise
            finally:
                self._metrics.asked_directory(name, time.monotonic() - begun, failed=failed)

        setattr(self, name, timed)
        return timed
