from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

from medusa.transports.dial.headers import HeaderError, Headers, from_variable, header_option, to_variable


def test_values_files_and_a_command_in_this_order(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"B: 2\r\n# no\n\nC: 3")
    headers = Headers(("A: 1", f"@{tmp_path}/file"), "echo 'D: 4'; echo noise >&2")
    assert headers.read() == [("A", "1"), ("B", "2"), ("C", "3"), ("D", "4")]
    assert headers
    assert not Headers()
    assert "1" not in repr(headers)


@pytest.mark.parametrize(
    ("given", "command", "why"),
    [
        (("@/nowhere/file",), None, "--header @/nowhere/file: No such file"),
        (("@{}/file",), None, "file: line 1: Host cannot be set"),
        ((), "echo secret", "the header command's output: line 1: a header is of the form"),
        ((), "echo 'X: secret'; exit 3", "the header command ended with status 3"),
        ((), "kill -9 $$", "the header command ended with status 137"),
        (("X: secret", "x: secret"), None, "--header: x is given twice"),
    ],
)
def test_what_is_wrong_is_named_and_not_quoted(
    tmp_path: Path, given: tuple[str, ...], command: str | None, why: str
) -> None:
    (tmp_path / "file").write_text("Host: secret\n")
    with pytest.raises(HeaderError) as caught:
        Headers(tuple(text.format(tmp_path) for text in given), command).read()
    assert why in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("text", ["secret", "Host: secret", "X: secret\nY: 1", "@"])
def test_an_option_is_checked_at_once(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError) as caught:
        header_option(text)
    assert "secret" not in str(caught.value)


def test_a_variable_has_one_value_or_a_list() -> None:
    fields = [("A", '"[1]" \\'), ("B", "2")]
    assert Headers(from_variable(to_variable(fields))).read() == fields
    assert from_variable("A: [1]") == ("A: [1]",)
    assert from_variable("@file") == ("@file",)
    for text in ("[", "[1]", '{"A": 1}', '["A"]', '["A: 1\\nB: 2"]', "[[]]"):
        with pytest.raises(HeaderError):
            from_variable(text)


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
@pytest.mark.parametrize("words", [["--header", "X: secret"], ["--header=X: secret"]])
def test_values_are_not_in_the_process_list(words: list[str]) -> None:
    script = (
        "import sys; from medusa.transports.dial.headers import hide_arguments as hide; hide(sys.argv);"
        "print(open('/proc/self/cmdline').read().split(chr(0))); print(sys.argv[1:])"
    )
    argv = ["before", *words, "--header", "@file", "after"]
    run = subprocess.run([sys.executable, "-c", script, *argv], capture_output=True, text=True, check=True)
    listed, own = run.stdout.splitlines()
    assert "secret" not in listed
    for kept in ("'before'", "'@file'", "'after'"):
        assert kept in listed
    assert own == str(argv)
