from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path

import pytest

from medusa.client.launchers.base import JobRequest, Settings, Wishes
from medusa.client.launchers.manual import ManualLauncher
from medusa.client.ledger import Ledger
from medusa.client.outcome import Failure

HOSTILE = "http://127.0.0.1:1/a'b\"$(exit 3)/attach/4711/slave?x=`y`"


@pytest.fixture
def ledger() -> Ledger:
    return Ledger(None)  # it starts nothing that would have to be noted


def test_the_line_runs_the_archive_with_its_config_and_leaves_nothing(ledger: Ledger, tmp_path: Path) -> None:
    archive = tmp_path / "the archive.sh"
    archive.write_text('echo "$*"; cat "$2"; stat -c " %a" "${0%/*}"; exit 3')
    launcher = ManualLauncher(Settings(), ledger)
    launcher.submit(JobRequest(lambda _: HOSTILE, archive.as_uri(), insecure_tls=True))
    (line,) = [line for line in launcher.instructions() if line.startswith("(d=")]
    environ = {"PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path)}
    run = subprocess.run(["sh", "-c", line], env=environ, capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (3, "")
    arguments, config = run.stdout.splitlines()
    assert shlex.split(arguments)[0] == "--config"
    record, mode = config.rsplit(" ", 1)
    assert json.loads(record) == {"signed_url": HOSTILE, "insecure_tls": True}
    assert mode == "700"
    assert sorted(path.name for path in tmp_path.iterdir()) == [archive.name]


def test_where_no_archive_is_served_it_is_to_be_brought_along(ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / "agent.sh").write_text('cat "$2"')
    launcher = ManualLauncher(Settings(), ledger)
    launcher.submit(JobRequest(lambda _: HOSTILE, None))
    assert "`medusa archive -o agent.sh` writes it" in launcher.instructions()[0]
    (line,) = [line for line in launcher.instructions() if line.startswith("(d=")]
    run = subprocess.run(["sh", "-c", line], cwd=tmp_path, capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")
    assert json.loads(run.stdout) == {"signed_url": HOSTILE, "insecure_tls": False}


@pytest.mark.parametrize("settings", [Settings(object="/x"), Settings(archive="/x"), Settings(wishes=Wishes(disk=8))])
def test_what_means_nothing_is_refused(ledger: Ledger, settings: Settings) -> None:
    with pytest.raises(Failure, match="manual"):
        ManualLauncher(settings, ledger)


@pytest.mark.parametrize(("patience", "lifetime"), [(None, 3600), (600.0, 600), (100_000.0, 3600)])
def test_the_url_is_good_for_as_long_as_the_user_waits(ledger: Ledger, patience: float | None, lifetime: float) -> None:
    launcher = ManualLauncher(Settings(), ledger)
    launcher.submit(JobRequest(lambda seconds: f"https://h?{seconds:g}", "https://h/a", patience=patience))
    assert f"https://h?{lifetime:g}" in "".join(launcher.instructions())
