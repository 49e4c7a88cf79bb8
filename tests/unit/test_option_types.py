from __future__ import annotations

import argparse

import pytest

from medusa.option_types import did_you_mean, duration, seconds


@pytest.mark.parametrize(("text", "value"), [("0", 0), ("1.5", 1.5), ("999999999", 999_999_999)])
def test_seconds(text: str, value: float) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "x", "-1", "nan", "inf", "1e9", "1h"])
def test_what_is_no_number_of_seconds(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=f"{text!r} is not a number of seconds"):
        seconds(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("90", 90),
        ("90s", 90),
        ("5m", 300),
        ("1h", 3600),
        ("2d", 172800),
        ("1h30m", 5400),
        (" 1d2h3m4 ", 93784),
    ],
)
def test_durations(text: str, value: int) -> None:
    assert duration(text) == value


@pytest.mark.parametrize("text", ["", "x", "-1", "1.5h", "1w", "h", "1m1h", "\u0661h"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=r"is not a time such as 90s, 5m, 1h or 2d"):
        duration(text)


KNOWN = ["--launcher", "--launcher-arg", "--key", "--keyId", "--wait-timeout", "--image", "sign-url", "slurm"]


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("--lancher", "--launcher"),
        ("--Launcher", "--launcher"),
        ("-launcher", "--launcher"),
        ("--timeout", "--wait-timeout"),
        ("--wait", "--wait-timeout"),
        ("--kye", "--key"),
        ("sign_url", "sign-url"),
        ("slrum", "slurm"),
        ("--time", ""),
        ("--partition", ""),
        ("-x", ""),
        ("--", ""),
        ("", ""),
        ("\x1b", ""),
    ],
)
def test_a_hint_at_what_was_meant(word: str, meant: str) -> None:
    assert did_you_mean(word, KNOWN) == (f"; did you mean {meant}?" if meant else "")
