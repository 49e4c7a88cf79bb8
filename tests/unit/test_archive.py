"""The size and the form of the agent's archive, which `make` builds before the tests run."""

from __future__ import annotations

from medusa.client.archive import CARRIED

MAX_SIZE = 112 * 1024
"""Bytes. Linux allows 128 KiB (MAX_ARG_STRLEN) for one variable of the environment, in which some job systems hand over
the script of a job. 16 KiB are left for the variable's name and for what a launcher puts before the archive."""


def test_archive_is_small_plain_text_with_short_lines() -> None:
    """It may travel through anything that carries a shell script."""
    data = CARRIED.read_bytes()
    assert len(data) <= MAX_SIZE
    assert max(map(len, data.split(b"\n"))) < 200
    assert set(data) <= {*range(32, 127), 10}
