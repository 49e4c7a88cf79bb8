"""A profile of the user's config file, from the file to the job."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.reflectors import ROOT
from tests.waiting import PATIENCE


def test_a_profile_is_all_that_a_user_types(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "medusa" / "config"
    file.parent.mkdir()
    file.write_text("quiet = true\n[answer]\nlauncher = local\ncommand = echo $((6 * 7))\n")
    environ = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path), "HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-m", "medusa.commands.mlogin", "-n", "answer"],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "42\n", "")
