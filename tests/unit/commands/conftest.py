"""What tests of several commands need."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

Complaint = Callable[[Callable[[list[str]], Any], Sequence[str], int], str]


@pytest.fixture
def complaint(capsys: pytest.CaptureFixture[str]) -> Complaint:
    """Runs a command line that must fail with a status, which is returned or raised. Returns what it says."""

    def complaint(command: Callable[[list[str]], Any], arguments: Sequence[str], status: int) -> str:
        try:
            ended = command([*arguments])
        except SystemExit as exited:
            ended = exited.code
        assert ended == status
        out, err = capsys.readouterr()
        assert out == ""
        assert all(line.isprintable() for line in err.splitlines())
        return err

    return complaint
