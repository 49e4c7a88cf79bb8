from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from medusa.client.settings import Settings
from medusa.commands import mlogin, publish, sessions, sign_url
from medusa.commands.config import command as config
from medusa.commands.mlogin_options import groups
from medusa.commands.options.config_file import BadFile, Setting, parse_config
from medusa.commands.reflector import command as reflector
from medusa.commands.reflector.variables import SHARED
from medusa.commands.user_config.parser import UserOptionParser
from tests.unit.commands.conftest import Complaint

COMMON = "reflector = https://common\nquiet = true\nsend-env = A,B\n"
GPU = "\n# the machines with GPUs\n[ gpu ]\nlauncher = slurm\nlauncher_arg = --partition=gpu\nlauncher-arg=--time=1:0\n"
BOX = "[box]\nlauncher = ssh\ntarget = alice@box\nquiet = false\nsend-env = C\nreflector = https://box\n"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's config file, at its default place."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    path = tmp_path / "medusa" / "config"
    path.parent.mkdir()
    path.write_text(COMMON + GPU + BOX)
    path.chmod(0o600)
    return path


def parsed(*words: str, **more: Any) -> dict[str, Any]:
    """What mlogin takes from the command line `words`, without the defaults."""
    found = vars(mlogin.parse(words))
    if found["unsigned_first"]:  # the user's login name signs, if need be
        found |= {"login": None, "unsigned_first": False}
    return {name: value for name, value in found.items() if value != getattr(Settings(), name)}


SENT = Settings().send_env


def test_a_profile(file: Path) -> None:
    common = {"reflector": "https://common", "quiet": True, "send_env": (*SENT, "A", "B"), "wait_timeout": 600}
    assert parsed() == common
    arguments = ("--partition=gpu", "--time=1:0")
    gpu = {**common, "launcher": "slurm", "arguments": arguments}
    del gpu["wait_timeout"]  # jobs of Slurm queue
    assert parsed("gpu") == parsed("--profile", "gpu") == gpu
    assert parsed("gpu", "--", "--time=2") == {**gpu, "arguments": (*arguments, "--time=2")}
    box = {"reflector": "https://box", "launcher": "ssh", "object": "alice@box", "send_env": (*SENT, "C")}
    assert parsed("box", "-c", "uptime") == {**box, "command": "uptime", "wait_timeout": 600}
    assert parsed("--profile", "box", "other") == {**box, "object": "other", "wait_timeout": 600}


def test_with_a_launcher_target_is_its_object(file: Path) -> None:
    assert parsed("--launcher", "ssh", "gpu")["object"] == "gpu"


def test_command_line_over_environment_over_profile_over_common(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDUSA_PROFILE", "box")
    assert parsed()["object"] == "alice@box"
    assert parsed("gpu")["launcher"] == "slurm"
    monkeypatch.setenv("MEDUSA_REFLECTOR", "https://variable")
    monkeypatch.setenv("MEDUSA_SEND_ENV", "V")
    assert (parsed()["reflector"], parsed()["send_env"]) == ("https://variable", (*SENT, "V"))
    assert parsed("box", "--reflector", "https://words")["reflector"] == "https://words"


def test_where_the_file_is(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDUSA_CONFIG", "/dev/null")
    assert "reflector" not in parsed()
    assert parsed("gpu", "--config", str(file))["launcher"] == "slurm"
    monkeypatch.setenv("MEDUSA_CONFIG", "")
    assert parsed()["quiet"]
    monkeypatch.setenv("XDG_CONFIG_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert "quiet" not in parsed()
    file.parent.rename(tmp_path / "moved")
    (tmp_path / ".config").mkdir()
    (tmp_path / "moved").rename(tmp_path / ".config/medusa")
    assert parsed()["quiet"]


def test_a_key_file_below_home(file: Path) -> None:
    file.write_text("account = alice\nkey = ~/.ssh/id\n")
    assert parsed("--reflector", "https://r")["key"] == os.path.expanduser("~/.ssh/id")


def test_common_keys_ask_for_no_signature(file: Path) -> None:
    """Without a reflector they would be an error on the command line."""
    file.write_text("account = alice\nkey = k\ninsecure-tls = true\nurl = https://manta\n[p]\naccount = bob\n")
    assert "login" not in parsed()
    assert parsed("--reflector", "https://r")["login"] == "alice"


@pytest.mark.parametrize(
    ("text", "words", "why"),
    [
        ("[gpu]\nlancher = slurm\n", ["gpu"], "FILE: lancher: there is no such option (line 2)"),
        ("[gpu]\nlauncher = slurm\nlauncher = ssh\n", ["gpu"], "FILE: launcher: given twice (line 3)"),
        ("[gpu]\nuser = a\nsubuser = a\n", ["gpu"], "FILE: subuser: given twice (line 3)"),
        ("[gpu]\nquiet = 1\n", ["gpu"], "FILE: quiet: must be true or false, not '1' (line 2)"),
        ("[gpu]\nprofile = x\n", ["gpu"], "FILE: profile: there is no such option (line 2)"),
        ("target = x\n", [], "FILE: target: stands in a profile only, below its [NAME] (line 1)"),
        ("[gpu]\n[gpu]\n", [], "FILE: line 2: there is a section [gpu] already"),
        ("[g pu]\n", [], "FILE: line 1: not of the form [NAME]"),
        ("[gpu\n", [], "FILE: line 1: not of the form [NAME]"),
        ("[gpu]\n[box]\n", ["--profile", "gpx"], "FILE: there is no profile 'gpx'; there are: gpu, box"),
        ("", ["--profile", "gpx"], "FILE: there is no profile 'gpx'; there are: none at all"),
        (None, ["--profile", "gpx"], "there is no profile 'gpx': FILE does not exist"),
        ("reflector = https://bob:secret@r\n", [], "FILE: reflector: no user name and password"),
    ],
)
def test_what_is_wrong(file: Path, complaint: Complaint, text: str | None, words: list[str], why: str) -> None:
    file.unlink() if text is None else file.write_text(text)
    said = complaint(mlogin.parse, words, 255)
    assert said.startswith("mlogin: " + why.replace("FILE", str(file)))
    assert "secret" not in said


def test_a_file_that_everybody_can_write_is_refused(file: Path, complaint: Complaint) -> None:
    file.chmod(0o666)
    assert f"{file}: everybody can write it" in complaint(mlogin.parse, [], 255)


def test_other_programs_take_the_keys_that_they_have(file: Path) -> None:
    file.write_text("account = alice\nquiet = true\nlogin = false\n[p]\nreflector = https://p\nkey = k\n")
    given = sessions.make_parser().parse_args(["list", "--profile", "p"])
    assert (given.reflector, given.account, given.key, given.login) == ("https://p", "alice", "k", None)
    assert sign_url.make_parser().parse_args(["ID"]).account == "alice"
    assert publish.make_parser().parse_args(["URL", "--profile", "p"]).key == "k"


def test_keys_in_json_and_the_name_of_a_section() -> None:
    assert parse_config('{"a_b": [1]}', sections=True) == {"": [Setting("a-b", [1])]}
    assert list(parse_config("[ a.b-c_d@e+f ]\n[1]\n", sections=True)) == ["", "a.b-c_d@e+f", "1"]
    for name in ("", "-a", "a/b", "a:b", "a b", "\x1b", "a=b"):
        with pytest.raises(BadFile):
            parse_config(f"[{name}]\n", sections=True)


ONE_MEANING = {
    "MEDUSA_ACCOUNT",
    "MEDUSA_ARCHIVE",
    "MEDUSA_CONFIG",
    "MEDUSA_HEADER",
    "MEDUSA_HEADER_COMMAND",
    "MEDUSA_INSECURE_TLS",
    "MEDUSA_KEY",
    "MEDUSA_LIFELINE",
    "MEDUSA_PROFILE",
    "MEDUSA_REFLECTOR",
    "MEDUSA_SUBUSER",
    "MEDUSA_URL",
}
"""Variables that several programs read. They mean the same to all of them."""


def test_each_variable_has_one_meaning() -> None:
    programs = [module.make_parser() for module in (groups, sessions, sign_url, publish, config, reflector)]
    words: tuple[list[str], ...] = (["--config", "/dev/null"], ["list"], ["ID"], ["URL"], ["path"], [])
    seen: set[str] = set()
    shared: set[str] = set()
    for program, arguments in zip(programs, words, strict=True):
        program.parse_args(arguments)  # names the variables
        variables = {str(action.env_var) for action in program._actions if getattr(action, "env_var", None)}
        shared |= seen & variables
        seen |= variables
    assert shared == ONE_MEANING
    users, servers = groups.make_parser(), reflector.make_parser()
    forms = [{form[2:] for form in program._option_string_actions} for program in (users, servers)]
    assert {key for key in forms[0] & forms[1] if users.option(key) is not None} == SHARED
    assert isinstance(users, UserOptionParser)
