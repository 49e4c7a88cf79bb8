from __future__ import annotations

import os
from pathlib import Path

import pytest

from medusa.client.launchers.base import MantaJobOptions, Settings
from medusa.client.launchers.ssh.launcher import SshLauncher, stray_word
from medusa.client.ledger import Ledger
from medusa.client.outcome import Failure


@pytest.fixture
def archive(tmp_path: Path) -> str:
    (tmp_path / "agent.sh").touch()
    return str(tmp_path / "agent.sh")


@pytest.mark.parametrize("host", [None, "", "-oProxyCommand=x"])
def test_a_host_is_needed(archive: str, host: str | None) -> None:
    with pytest.raises(Failure, match=r"needs a host: mlogin ssh:\[USER@\]HOST"):
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


@pytest.mark.parametrize(
    ("words", "stray"),
    [
        ("", None),
        ("-v -p 2222 -J a,b -i key -oUser=x -o User=x -4", None),
        ("-vp 2222 -vvv -tt", None),
        ("uptime", "uptime"),
        ("-v uptime -p 2", "uptime"),
        ("-p2222 ls -l", "ls"),
        ("-p", None),
    ],
)
def test_a_command_among_the_options_of_ssh(archive: str, words: str, stray: str | None) -> None:
    assert stray_word(words.split()) == stray
    if stray is not None:
        with pytest.raises(Failure, match=rf"`{stray}` is no option of ssh; a command is given by -c: mlogin ssh:h -c"):
            SshLauncher(Settings(archive=archive, object="h", arguments=tuple(words.split())), Ledger(None))
