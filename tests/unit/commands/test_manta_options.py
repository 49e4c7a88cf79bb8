from __future__ import annotations

from pathlib import Path

import pytest

from medusa.client.outcome import Failure
from medusa.commands.manta_options import SigningOptions, add_manta_options, manta_options
from medusa.commands.options.parser import OptionParser


def parse(*arguments: str) -> SigningOptions:
    parser = OptionParser("prog", "what it does")
    parser.add_argument("--config", is_config_file=True)
    add_manta_options(parser)
    return manta_options(parser.parse_args(arguments))


VARIABLES = {"MANTA_USER": "login", "MANTA_SUBUSER": "user", "MANTA_KEY_ID": "aa:bb", "MANTA_URL": "https://manta"}
GIVEN = SigningOptions("login", "user", "aa:bb", "https://manta", True)


@pytest.mark.parametrize(
    "arguments",
    [
        ["-a", "login", "--user", "user", "-k", "aa:bb", "-u", "https://manta", "-i"],
        ["--account", "login", "--subuser", "user", "--key", "aa:bb", "--url", "https://manta", "--insecure"],
        ["--account=login", "--subuser=user", "--keyId=aa:bb", "--url=https://manta", "--insecure-tls"],
    ],
)
def test_the_command_line(arguments: list[str]) -> None:
    assert parse(*arguments) == GIVEN


@pytest.mark.parametrize(("insecure", "trusts"), [("1", True), ("true", True), ("0", False), ("", False)])
def test_the_originals_environment(monkeypatch: pytest.MonkeyPatch, insecure: str, trusts: bool) -> None:
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MANTA_TLS_INSECURE", insecure)
    assert parse() == GIVEN._replace(insecure_tls=trusts)


def test_the_originals_environment_yields_to_all_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    config = tmp_path / "config"
    config.write_text("account = filed\nkey = filed\nurl = filed\n")
    monkeypatch.setenv("MEDUSA_KEY", "set")
    monkeypatch.setenv("MEDUSA_URL", "set")
    found = parse("--config", str(config), "--url", "given")
    assert found == SigningOptions("filed", "user", "set", "given", False)


def test_nothing_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MANTA_USER", "")
    assert parse() == SigningOptions(None, None, None, None, False)


@pytest.mark.parametrize(
    ("missing", "variable"), [("account", "MANTA_USER"), ("key", "MANTA_KEY_ID"), ("url", "MANTA_URL")]
)
def test_what_is_missing_is_asked_for(missing: str, variable: str) -> None:
    GIVEN.require("account", "key", "url")
    without = SigningOptions(**{**GIVEN._asdict(), missing: None})
    without.require(*{"account", "key", "url"} - {missing})
    with pytest.raises(Failure, match=f"--{missing} .* or set {variable}"):
        without.require("account", "key", "url")
