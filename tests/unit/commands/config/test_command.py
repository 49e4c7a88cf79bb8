from __future__ import annotations

import re
from pathlib import Path

import pytest

from medusa.commands.config.command import main
from medusa.commands.config.show import hidden
from tests.unit.commands.conftest import Complaint

TEXT = """\
reflector = https://common
account = alice
launcher-arg = --export=API_TOKEN=secret
[gpu]
launcher = slurm
launcher-arg = --partition=gpu
launcher-arg = --time=1:0
target = 7
quiet = true
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The place of the user's config file. It does not exist."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "made"))
    return tmp_path / "made" / "medusa" / "config"


def write(file: Path, text: str = TEXT) -> None:
    file.parent.mkdir(parents=True)
    file.write_text(text)


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What was printed, with one blank between the columns."""
    return [re.sub("  +", " ", line) for line in capsys.readouterr().out.splitlines()]


def test_path(file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for arguments, path in ((["path"], str(file)), (["path", "--config", "/x"], "/x")):
        assert main(arguments) == 0
        assert capsys.readouterr().out == path + "\n"
    monkeypatch.setenv("MEDUSA_CONFIG", "/y")
    assert main(["path"]) == 0
    assert capsys.readouterr().out == "/y\n"


def test_show(file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    write(file)
    monkeypatch.setenv("MANTA_KEY_ID", "aa:bb")
    monkeypatch.setenv("MEDUSA_ACCOUNT", "bob")
    assert main(["show"]) == 0
    shown = lines(capsys)
    assert "reflector https://common config file, line 1" in shown
    assert "account bob variable MEDUSA_ACCOUNT, instead of config file, line 2" in shown
    assert "key aa:bb variable MANTA_KEY_ID" in shown
    assert "launcher local default" in shown
    assert "launcher-arg --export=API_TOKEN= (not shown) config file, line 3" in shown
    at = shown.index("mlogin gpu, instead of that:")
    assert "target 7 config file, line 8 [gpu]" in shown[at:]
    assert not any("https://common" in line for line in shown[at:])


def test_show_a_profile(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(file)
    assert main(["show", "gpu"]) == 0
    shown = lines(capsys)
    assert shown[0] == f"mlogin gpu, with {file}"
    assert "reflector https://common config file, line 1" in shown
    assert [line for line in shown if line.startswith("launcher")] == [
        "launcher slurm config file, line 5 [gpu]",
        "launcher-arg --partition=gpu config file, line 6 [gpu]",
        "launcher-arg --time=1:0 config file, line 7 [gpu]",
    ]


def test_a_target_names_the_launcher(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(file, "launcher = ssh\n[p]\ntarget = slurm:7\n")
    assert main(["show", "p"]) == 0
    assert [line for line in lines(capsys) if line.startswith(("target", "launcher"))] == [
        "target slurm:7 config file, line 3 [p]"
    ]


def test_show_without_a_file(file: Path, capsys: pytest.CaptureFixture[str], complaint: Complaint) -> None:
    assert main(["show"]) == 0
    assert lines(capsys)[0] == f"mlogin, with {file}, which does not exist"
    assert f"no profile 'gpu': {file} does not exist" in complaint(main, ["show", "gpu"], 1)


def test_show_says_what_is_wrong(file: Path, complaint: Complaint) -> None:
    write(file, "[gpu]\nlancher = slurm\n")
    assert complaint(main, ["show", "gpu"], 1).startswith(
        f"medusa config: {file}: lancher: there is no such option (line 2)"
    )
    assert "'nothing'" in complaint(main, ["show", "nothing"], 1)


@pytest.mark.parametrize(
    ("option", "value", "shown"),
    [
        ("header", "Authorization: Bearer x", "Authorization: (not shown)"),
        ("header", "@~/headers", "@~/headers"),
        ("url", "https://bob:secret@h/x", "https://(not shown)@h/x"),
        ("url", "https://h/x?signature=abc", "https://h/x?(not shown)"),
        ("launcher-arg", "--env=DB_PASSWORD=x y", "--env=DB_PASSWORD= (not shown)"),
        ("launcher-arg", "--signal=USR1", "--signal=USR1"),
        ("key", "~/.ssh/id_ed25519", "~/.ssh/id_ed25519"),
    ],
)
def test_secrets_are_not_shown(option: str, value: str, shown: str) -> None:
    assert hidden(option, value) == shown


@pytest.mark.parametrize(("variable", "other"), [("VISUAL", "EDITOR"), ("EDITOR", "NOTHING")])
def test_edit(
    file: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], variable: str, other: str
) -> None:
    """A new file explains itself and is for its owner only; what the editor leaves behind is checked."""
    monkeypatch.setenv(other, "false")
    monkeypatch.setenv(variable, "grep -c '# '")
    assert main(["edit"]) == 0
    assert int(capfd.readouterr().out) > 5
    assert [path.stat().st_mode & 0o777 for path in (file, file.parent)] == [0o600, 0o700]
    monkeypatch.setenv(variable, "printf '[a]\\nx = 1\\n' >")
    with pytest.raises(SystemExit) as caught:
        main(["edit"])
    assert caught.value.code == 1
    assert f"{file}: x: there is no such option (line 2)" in capfd.readouterr().err


def test_control_c_is_for_the_editor(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", "kill -INT $PPID; true")
    assert main(["edit"]) == 0


@pytest.mark.parametrize(
    ("editor", "why"), [("exit 3;", "the editor ended with status 3"), ("", "no editor found; set EDITOR")]
)
def test_no_edit(file: Path, monkeypatch: pytest.MonkeyPatch, complaint: Complaint, editor: str, why: str) -> None:
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", editor)
    if not editor:
        monkeypatch.setenv("PATH", "/nonexistent")
    assert why in complaint(main, ["edit"], 1)


def test_a_directory_cannot_be_edited(file: Path, complaint: Complaint) -> None:
    file.mkdir(parents=True)
    assert f"{file}: Is a directory" in complaint(main, ["edit"], 1)


@pytest.mark.parametrize("arguments", [[], ["shew"], ["path", "gpu"], ["edit", "gpu"]])
def test_wrong_usage(complaint: Complaint, arguments: list[str]) -> None:
    complaint(main, arguments, 2)
