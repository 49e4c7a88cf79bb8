"""How a Python that was built without bz2 unpacks the payload."""

from __future__ import annotations

import bz2
import runpy
import subprocess
import sys
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.agents import ROOT, Reflector, write_config
from tests.archive.test_run import environ_in, hold_session

UNPACK = runpy.run_path(str(ROOT / "scripts" / "agent_boot.py"))["unpack"]

WITHOUT_BZ2 = """#!/bin/sh
if [ "$4" = -c ]; then
  code=$5
  shift 5
  set -- -I -S -B -c "import sys; sys.executable = '$0'; sys.modules['bz2'] = None; $code" "$@"
fi
exec '{python}' "$@"
"""
"""A Python that fails to import bz2, also if the agent starts it a second time."""

runs = st.lists(st.tuples(st.binary(min_size=1, max_size=2), st.integers(1, 600)), max_size=9)


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=400) | runs.map(lambda pairs: b"".join(data * count for data, count in pairs)))
def test_it_unpacks_what_bz2_packs(data: bytes) -> None:
    assert UNPACK(bz2.compress(data)) == data


def test_it_unpacks_several_blocks(archive: Path) -> None:
    data = archive.read_bytes()
    assert UNPACK(bz2.compress(data, 1)) == data


def test_a_python_without_bz2_unpacks_the_payload_and_runs_a_session(
    archive: Path, tmp_path: Path, temporary: Path, reflector: Reflector
) -> None:
    python = tmp_path / "python"
    python.write_text(WITHOUT_BZ2.format(python=sys.executable))
    python.chmod(0o755)
    pythons = sys.executable, str(python)
    for number, name in enumerate(pythons):
        environ = environ_in(temporary) | {"MEDUSA_PYTHON": name}
        subprocess.run(["sh", archive, "--extract", tmp_path / str(number)], env=environ, check=True)
    subprocess.run(["diff", "-r", tmp_path / "0", tmp_path / "1"], check=True)
    config = write_config(tmp_path, reflector.url)
    environ = {**environ_in(temporary), "MEDUSA_PYTHON": str(python), "MEDUSA_AGENT_CONFIG": str(config)}
    hold_session(reflector, ["bash", "-c", f"umask 027; exec bash '{archive}'"], environ)
