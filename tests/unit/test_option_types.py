from __future__ import annotations

import argparse

import pytest

from medusa.option_types import seconds


@pytest.mark.parametrize(("text", "value"), [("0", 0), ("1.5", 1.5), ("999999999", 999_999_999)])
def test_seconds(text: str, value: float) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "x", "-1", "nan", "inf", "1e9", "1h"])
def test_what_is_no_number_of_seconds(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=f"{text!r} is not a number of seconds"):
        seconds(text)
