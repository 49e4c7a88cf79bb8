"""Options and variables of mlogin for a Manta, and those that say who signs."""

from __future__ import annotations

import pytest

from medusa.client.launchers.base import MantaJobOptions
from medusa.client.settings import Settings
from medusa.commands import mlogin
from tests.unit.commands.conftest import Complaint

KEY = ":".join(["aa"] * 16)
SIGNED = {"login": "jill", "subuser": "joe", "key": KEY, "url": "https://manta"}
VARIABLES = {"MANTA_USER": "jill", "MANTA_SUBUSER": "joe", "MANTA_KEY_ID": KEY, "MANTA_URL": "https://manta"}


def test_every_option_for_a_manta() -> None:
    line = f"--launcher manta -a jill --user joe -k {KEY} -u https://manta --disk 8 --memory 1024 --init hi"
    more = ["--image", "13.3"]
    more += ["-s", "~~/stor/a tool", "--asset", "/b", "--assets", "/c", "--agent-object", "/d", "/jill/stor/x"]
    assert mlogin.parse([*line.split(), *more]) == Settings(
        launcher="manta",
        object="/jill/stor/x",
        manta=MantaJobOptions(8, 1024, "hi", "13.3", ("~~/stor/a tool", "/b", "/c"), "/d"),
        **SIGNED,  # type: ignore[arg-type]
    )


def test_a_job_of_a_manta_is_waited_for_as_long_as_it_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    for arguments, timeout in (([], None), (["--wait-timeout", "0"], None), (["--wait-timeout", "5"], 5)):
        assert mlogin.parse(["--launcher", "manta", *arguments]).wait_timeout == timeout


@pytest.mark.parametrize("more", [["--launcher", "manta"], ["--reflector", "https://r"]])
def test_the_originals_environment_says_who_signs(monkeypatch: pytest.MonkeyPatch, more: list[str]) -> None:
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MANTA_TLS_INSECURE", "1")
    options = mlogin.parse(more)
    assert {name: getattr(options, name) for name in SIGNED} == SIGNED
    assert options.insecure_tls


@pytest.mark.parametrize(
    "kept", [(), ("MANTA_USER",), ("MANTA_KEY_ID",), ("MANTA_USER", "MANTA_URL"), tuple(VARIABLES)]
)
def test_the_originals_environment_is_no_wish_to_sign(monkeypatch: pytest.MonkeyPatch, kept: tuple[str, ...]) -> None:
    for name in kept:
        monkeypatch.setenv(name, VARIABLES[name])
    monkeypatch.setenv("MANTA_TLS_INSECURE", "1")
    monkeypatch.setenv("LOGNAME", "me")
    assert mlogin.parse([]) == Settings(wait_timeout=600)
    if len(kept) < len(VARIABLES):
        for url in ("https://r", "tcp://r:1"):
            options = mlogin.parse(["--reflector", url])
            assert options.unsigned_first
            assert not options.insecure_tls
            assert options.url is None
            assert options.login == ("jill" if "MANTA_USER" in kept else "me")


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (["-a", "jill", "-k", KEY], "--account and --key: for which"),
        (["-ajill"], "--account: for which"),
        (["--subuser=joe"], "--subuser: for which"),
        (["-u", "https://m"], "--url names a Manta"),
    ],
)
def test_an_option_counts_although_a_variable_has_the_same_value(
    complaint: Complaint, monkeypatch: pytest.MonkeyPatch, arguments: list[str], option: str
) -> None:
    same = {"MANTA_USER": "jill", "MANTA_KEY_ID": KEY, "MANTA_SUBUSER": "joe", "MANTA_URL": "https://m"}
    for name, value in same.items():
        monkeypatch.setenv(name, value)
    assert option in complaint(mlogin.parse, arguments, 255)


def test_a_key_that_was_typed_signs_although_a_variable_has_the_same_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MANTA_KEY_ID", KEY)
    monkeypatch.setenv("LOGNAME", "me")
    for arguments, first in ((["-k", KEY], False), ([], True)):
        options = mlogin.parse(["--reflector", "https://r", *arguments])
        assert (options.login, options.key, options.unsigned_first) == ("me", KEY, first)


@pytest.mark.parametrize("kept", [(), ("MANTA_KEY_ID",), tuple(VARIABLES)])
def test_no_account_by_the_users_own_wish(monkeypatch: pytest.MonkeyPatch, kept: tuple[str, ...]) -> None:
    for name in kept:
        monkeypatch.setenv(name, VARIABLES[name])
    options = mlogin.parse(["--reflector", "https://r", "-a", ""])
    assert options == Settings(wait_timeout=600, reflector="https://r")
    for name, value in {"ACCOUNT": "jill", "KEY": KEY, "SUBUSER": "ci"}.items():
        monkeypatch.setenv(f"MEDUSA_{name}", value)
    assert mlogin.parse(["--reflector", "https://r", "-a", ""]) == options


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--launcher", "manta", "-a", "jill", "-k", KEY], "which Manta? Give --url"),
        (["--launcher", "manta", "-u", "https://m", "-a", ""], "which account? Give --account"),
        (["--reflector", "https://r", "-a", "", "-k", KEY], "which account? Give --account"),
        (["--reflector", "https://r", "-k", KEY, "-a", "../x"], "'../x' is no login"),
        (["--reflector", "https://r", "-k", KEY, "-a", "x", "--user", "a/b"], "'a/b' is no login"),
        (["-u", "https://m"], "--url names a Manta, whose jobs are run by --launcher manta"),
        (["--reflector", "https://r", "-a", "x", "-k", KEY, "-u", "https://m"], "--url names a Manta"),
        (["-a", "jill", "-k", KEY], "--account and --key: for which reflector? Give --reflector URL, or --launcher"),
        (["-k", KEY, "--launcher", "slurm"], "--key: for which reflector?"),
        (["--subuser", "joe"], "--subuser: for which reflector?"),
        (["-i"], "--insecure-tls: for which reflector?"),
        (["--disk", "0"], "'0' is not a number above 0"),
        (["--memory", "many"], "'many' is not a number above 0"),
    ],
)
def test_what_is_missing_or_wrong_for_a_signature(complaint: Complaint, arguments: list[str], why: str) -> None:
    assert why in complaint(mlogin.parse, arguments, 255)


@pytest.mark.parametrize(
    ("arguments", "login", "key"),
    [
        (["--reflector", "https://r", "-a", "jill"], "jill", None),
        (["--reflector", "https://r", "-k", KEY], "me", KEY),
        (["--reflector", "https://r", "--subuser", "joe"], "me", None),
        (["--launcher", "manta", "-u", "https://m"], "me", None),
    ],
)
def test_the_account_is_the_login_name_and_the_key_is_found_later(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], login: str, key: str | None
) -> None:
    monkeypatch.setenv("LOGNAME", "me")
    options = mlogin.parse(arguments)
    assert (options.login, options.key, options.unsigned_first) == (login, key, False)


def test_a_login_name_that_cannot_be_an_account(monkeypatch: pytest.MonkeyPatch, complaint: Complaint) -> None:
    monkeypatch.setenv("LOGNAME", "DOMAIN/me")
    assert mlogin.parse(["--reflector", "https://r"]) == Settings(wait_timeout=600, reflector="https://r")
    assert "which account?" in complaint(mlogin.parse, ["--reflector", "https://r", "-k", KEY], 255)
