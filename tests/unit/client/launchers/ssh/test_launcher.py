from __future__ import annotations

import os
from pathlib import Path

import pytest

from medusa.client.launchers.base import MantaJobOptions, Settings
from medusa.client.launchers.ssh.launcher import SshLauncher
from medusa.client.ledger import Ledger
from medusa.client.outcome import Failure


@pytest.fixture
def archive(tmp_path: Path) -> str:
    (tmp_path / "agent.sh").touch()
    return str(tmp_path / "agent.sh")


@pytest.mark.parametrize("host", [None, "", "-oProxyCommand=x"])
def test_a_host_is_needed(archive: str, host: str | None) -> None:
    with pytest.raises(Failure, match=r"needs a host: mlogin --launcher ssh \[USER@\]HOST"):
        SshLauncher(Settings(archive=archive, object=host), Ledger(None))


@pytest.mark.parametrize(
    "settings", [Settings(job="7"), Settings(session="7"), Settings(manta=MantaJobOptions(disk=8))]
)
def test_unusable_settings_are_refused(settings: Settings) -> None:
    with pytest.raises(Failure, match="nothing to the launcher `ssh`"):
        SshLauncher(settings, Ledger(None))


def test_ssh_is_needed(archive: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "PATH", "/nowhere")
    with pytest.raises(Failure, match="needs the program ssh"):
        SshLauncher(Settings(archive=archive, object="node"), Ledger(None))


def test_the_host_is_printed_safely(archive: str) -> None:
    with SshLauncher(Settings(archive=archive, object="me@node\x1b"), Ledger(None)) as launcher:
        assert launcher.describe() == "a job on me@node\\x1b"
        assert (launcher.poll().alive, launcher.poll().words) == (True, "not started")
        assert launcher.log_tail() == []
