"""What mlogin has started before its session is gone again if the session cannot begin."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.terminals import ROOT, environment, processes_of
from tests.waiting import PATIENCE


def test_a_reflector_that_does_not_start_is_reported_and_leaves_no_job(home: Path, tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "gevent.py").write_text("raise SystemExit('no gevent today')\n")
    environ = {**environment(home), "PYTHONPATH": str(tmp_path / "broken")}
    command = [sys.executable, "-m", "medusa.commands.mlogin", "-c", f"touch {tmp_path}/ran"]
    run = subprocess.run(command, capture_output=True, text=True, env=environ, cwd=ROOT, timeout=6 * PATIENCE)
    assert run.returncode == 255
    assert run.stderr == "mlogin: the embedded reflector ended with status 1\nmlogin:   no gevent today\n"
    assert processes_of(home) == {}
    assert list(home.glob("medusa-*")) == []
    assert not (tmp_path / "ran").exists()
