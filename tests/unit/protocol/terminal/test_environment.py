from __future__ import annotations

import pytest

from medusa.protocol.terminal.environment import DEFAULT, MAX_BYTES, MAX_VARIABLES, checked, chosen, withheld

HERE = {
    "LANG": "de_DE.UTF-8",
    "LC_TIME": "C",
    "COLORTERM": "truecolor",
    "COLUMNS": "9",
    "EDITOR": "vi",
    "EMPTY": "",
    "LC_ALL": "",
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTH": "s",
    "LDAP_URL": "l",
    "KEYBOARD": "us",
    "APIKEY": "s",
    "PGPASSWORD": "s",
    "TLS_CERT_FILE": "s",
    "PATH": "/bin",
    "LD_PRELOAD": "x.so",
    "BASH_ENV": "x",
    "MEDUSA_KEY": "k",
    "MANTA_KEY_ID": "k",
    "AWS_SECRET_ACCESS_KEY": "s",
    "GITHUB_TOKEN": "s",
    "my_passwd": "s",
    "SSH_AUTH_SOCK": "/x",
    "BASH_FUNC_f%%": "() { :; }",
    "NUL": "a\0b",
    "ODD": "\udcff",
    "LONE": "\ud800",
}


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ([], "LANG LC_TIME COLORTERM"),
        (["EDITOR"], "LANG LC_TIME COLORTERM EDITOR"),
        (["E*", "NOT_SET"], "LANG LC_TIME COLORTERM EDITOR EMPTY"),
        (["-LC_*", "-LANG"], "COLORTERM"),
        (["none"], ""),
        (["none", "ED?TOR"], "EDITOR"),
        (["none", "*"], "COLORTERM EDITOR EMPTY GIT_AUTHOR_NAME KEYBOARD LANG LC_ALL LC_TIME LDAP_URL ODD"),
        (["none", "LC_A*"], "LC_ALL"),
        (["none", "GIT_*", "LDAP_*", "KEY*", "API*", "PG*", "TLS*"], "GIT_AUTHOR_NAME LDAP_URL KEYBOARD"),
        (["none", "*PATH", "LD_*", "*_KEY", "*TOKEN", "*passwd", "*SOCK"], ""),
        (["none", "GITHUB_TOKEN", "my_passwd"], "GITHUB_TOKEN my_passwd"),
        (["none", "MEDUSA_KEY", "COLUMNS", "BASH_FUNC_f%%", "NUL", "LONE"], ""),
    ],
)
def test_what_is_sent(words: list[str], names: str) -> None:
    sent, named = chosen([*DEFAULT, *words], HERE)
    assert sent == {name: HERE[name] for name in names.split()}
    assert named == ()


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ([], ""),
        (["EDITOR", "*", "NOT_SET", "EMPTY"], ""),
        (["MEDUSA_KEY", "COLUMNS", "NUL"], "MEDUSA_KEY COLUMNS NUL"),
        (["GIT_*", "*TOKEN"], "GIT_AUTH GITHUB_TOKEN"),
        (["GIT_*", "-GIT_AUTH"], ""),
        (["GIT_*", "GIT_AUTH"], ""),
        (["GIT_*", "none"], ""),
    ],
)
def test_what_is_asked_for_but_not_sent(words: list[str], names: str) -> None:
    words = [*DEFAULT, *words]
    assert withheld(words, HERE, chosen(words, HERE)[0]) == tuple(names.split())


def test_what_decides_how_programs_run_must_be_named() -> None:
    words = ["none", "PATH", "LD_PRELOAD", "LC_TIME", "SSH_AUTH_SOCK", "EDITOR"]
    sent, named = chosen(words, HERE)
    assert (list(sent), named) == (words[1:], ("PATH", "LD_PRELOAD", "LC_TIME", "SSH_AUTH_SOCK"))
    assert list(checked(sent)) == ["LC_TIME", "EDITOR"]
    assert list(checked(sent, named)) == words[1:]
    assert checked({"MEDUSA_CONFIG": "x", "LINES": "1"}, ("MEDUSA_CONFIG", "LINES")) == {}


@pytest.mark.parametrize("name", ["", "1A", "A=B", "A B", "É", "A\n", "A" * 129, "A-B"])
def test_wrong_names(name: str) -> None:
    assert checked({name: "x", "GOOD": "y"}) == {"GOOD": "y"}


@pytest.mark.parametrize("value", [1, None, ["x"], {"a": "b"}, "\0", "\ud800"])
def test_wrong_values(value: object) -> None:
    assert checked({"A": value, "GOOD": "y"}) == {"GOOD": "y"}


def test_bounds() -> None:
    assert len(checked({f"A{n}": "" for n in range(1000)})) == MAX_VARIABLES
    assert list(checked({"A": "x" * (MAX_BYTES - 1), "B": ""})) == ["A"]
    assert checked({"A": "x" * MAX_BYTES, "B": "small"}) == {"B": "small"}
    with pytest.raises(ValueError, match="object"):
        checked([])
