from __future__ import annotations

from pathlib import Path

import pytest

from medusa.client.outcome import Failure
from medusa.client.settings import Settings
from medusa.commands import mlogin
from medusa.commands.user_config.target import Target, hint, read_target
from medusa.protocol.record import replace
from tests.unit.commands.conftest import Complaint

ID = "5d3e6a1c-0d5b-4c5e-9f7a-0123456789ab"


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("ssh:alice@host", Target("ssh", "alice@host")),
        ("ssh:", Target("ssh")),
        ("ssh://alice@host:2222", Target("ssh", "ssh://alice@host:2222")),
        ("slurm:", Target("slurm")),
        ("slurm:123", Target("slurm", job="123")),
        ("slurm:123_4", Target("slurm", job="123_4")),
        ("k8s:", Target("kubernetes")),
        ("k8s:pod/container", Target("kubernetes", job="pod/container")),
        ("kubernetes:pod", Target("kubernetes", job="pod")),
        ("manta:/a/stor/b:c", Target("manta", "/a/stor/b:c")),
        ("local:", Target("local")),
        ("manual:", Target("manual")),
        (ID, Target(session=ID)),
        (ID.upper(), Target(session=ID)),
        ("5d3e", Target(beginning="5d3e")),
        ("build:17", Target(beginning="build:17")),
    ],
)
def test_what_a_target_stands_for(text: str, target: Target) -> None:
    assert read_target(text) == target


@pytest.mark.parametrize(
    ("configured", "target"),
    [
        ("ssh", Target("ssh", "node17")),
        ("manta", Target("manta", "node17")),
        ("slurm", Target(beginning="node17")),
        ("local", Target(beginning="node17")),
    ],
)
def test_a_configured_launcher_has_its_object(configured: str, target: Target) -> None:
    assert read_target("node17", configured) == target
    assert read_target("slurm:7", configured) == Target("slurm", job="7")


@pytest.mark.parametrize("text", ["local:x", "manual:x"])
def test_what_takes_nothing(text: str) -> None:
    with pytest.raises(Failure, match=r"nothing may follow .*; a command is given by -c"):
        read_target(text)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("gpuu", "gpu"),
        ("slrum:123", "slurm:123"),
        ("Ssh:host", "ssh:host"),
        ("slurm", "slurm:"),
        ("alice@host", "ssh:alice@host"),
        ("/alice/stor/x", "manta:/alice/stor/x"),
        ("node17", ""),
        ("5d3e", ""),
        ("x:y", ""),
        ("gpu", ""),
        ("gpu:", "gpu"),
        ("gpu:7", ""),
    ],
)
def test_a_hint_at_what_was_meant(text: str, meant: str) -> None:
    assert hint(text, ["gpu"]) == (f"; did you mean {meant}?" if meant else "")


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("ssh:h", "--launcher ssh h"),
        ("slurm: -- --partition gpu", "--launcher slurm -- --partition gpu"),
        ("slurm:12 -c id", "--launcher slurm --job 12 -c id"),
        ("k8s:p/c -- --image i", "--launcher kubernetes --job p/c -- --image i"),
        ("local:", "--launcher local"),
    ],
)
def test_the_short_form_is_the_long_one(short: str, long: str) -> None:
    assert mlogin.parse(short.split()) == mlogin.parse(long.split())


def test_the_id_of_a_session() -> None:
    short, long = (mlogin.parse([*words, "--reflector", "http://r"]) for words in ([ID], ["--session", ID]))
    assert short == replace(long, beginning=ID)


def test_the_beginning_of_a_sessions_id() -> None:
    settings = mlogin.parse(["5D3E", "--reflector", "http://r"])
    assert (settings.beginning, settings.session, settings.launcher) == ("5d3e", None, "held")
    assert "no profile or launcher of this name" in settings.otherwise


def test_the_target_of_a_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "config"
    file.write_text(f"launcher = manta\n[node]\ntarget = ssh:alice@h\n[step]\nreflector = http://r\ntarget = {ID}\n")
    monkeypatch.setenv("MEDUSA_CONFIG", str(file))
    node, step = mlogin.parse(["node"]), mlogin.parse(["step"])
    assert (node.launcher, node.object) == ("ssh", "alice@h")
    assert (step.launcher, step.session) == ("held", ID)


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("box", ("ssh", "h", None)),
        ("box --session x", ("held", None, None)),
        ("--profile box --launcher local", ("local", None, None)),
        ("--profile box --launcher ssh", ("ssh", "h", None)),
        ("--profile box --launcher ssh other", ("ssh", "other", None)),
        ("--profile box slurm:8", ("slurm", None, "8")),
        ("--profile run --launcher slurm", ("slurm", None, "7")),
        ("--profile run --launcher slurm --job 8", ("slurm", None, "8")),
        ("run --session x", ("held", None, None)),
        ("--profile data --launcher manta", ("manta", "/a/stor/x", None)),
    ],
)
def test_the_command_line_overrides_the_target_of_a_profile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, wanted: tuple[str, str | None, str | None]
) -> None:
    file = tmp_path / "config"
    file.write_text(
        "reflector = http://r\n[box]\ntarget = ssh:h\n[run]\ntarget = slurm:7\n"
        "[data]\nlauncher = manta\nurl = https://m\naccount = a\ntarget = /a/stor/x\n"
    )
    monkeypatch.setenv("MEDUSA_CONFIG", str(file))
    monkeypatch.delenv("MEDUSA_URL", raising=False)
    settings = mlogin.parse(words.split())
    assert (settings.launcher, settings.object, settings.job) == wanted


def test_the_target_of_a_profile_is_no_profile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, complaint: Complaint
) -> None:
    file = tmp_path / "config"
    file.write_text("[big]\ntarget = gpu\n[gpu]\ntarget = gpu\n")
    monkeypatch.setenv("MEDUSA_CONFIG", str(file))
    for profile in ("big", "gpu"):
        assert "target = gpu: this is a profile" in complaint(mlogin.parse, [profile], 255)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ("gpuu", "there is no profile or launcher gpuu"),
        ("slrum:1", "there is no profile or launcher slrum:1; did you mean slurm:1?"),
        ("a\x1b", "there is no profile or launcher a\\x1b\n"),
        ("5d3e", "for a session, name its reflector by --reflector URL"),
        (ID, f"at which reflector is the session {ID}?"),
        ("slurm:1 --job 2", "slurm:1 and --job 2 both name a job"),
        ("--launcher slrum x", "there is no launcher `slrum`; there are"),
    ],
)
def test_what_is_no_target(complaint: Complaint, arguments: str, why: str) -> None:
    assert why in complaint(mlogin.parse, arguments.split(" "), 255)


def test_a_launcher_on_the_command_line_has_the_word() -> None:
    assert mlogin.parse(["--launcher", "ssh", "slurm:1"]) == Settings(
        launcher="ssh", object="slurm:1", wait_timeout=600
    )
