"""Medians, ratios and goals; results that are saved and read back; the documents; the picture."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import documents, results
from bench.report import Line, Table, number
from bench.row import Figure, Goal, value
from bench.toolchain import Unavailable

SPEED = Figure("bulk", "MB/s", ("MBps",), goal=Goal(2))
DELAY = Figure("echo", "us", ("rtt_us", "p50"), higher_is_better=False, goal=Goal(0.5))
GROWTH = Figure("growth", "MiB", ("rss",), higher_is_better=False, goal=Goal(1, absolute=True))
FREE = Figure("free", "s", ("s",))


def table() -> Table:
    lines = [
        Line(SPEED, {"medusa": [200.0, 900.0, None], "ws": [100.0, 300.0, 500.0]}),
        Line(DELAY, {"medusa": [40.0], "ws": [50.0]}),
        Line(GROWTH, {"medusa": [0.0], "ws": [2095.0]}),
        Line(FREE, {"medusa": [], "ws": [1.5]}),
    ]
    return Table("ws", "medusa", ["medusa", "ws"], lines)


def test_a_ratio_is_the_median_of_the_ratios_of_each_run() -> None:
    line = table().lines[0]
    assert line.median("medusa") == 550
    assert line.ratio("medusa", "ws") == 2.5
    assert line.ratio("medusa", "nobody") is None


def test_text() -> None:
    head, *body = table().text().splitlines()
    assert head.split() == ["unit", "medusa", "/ws", "ws", "goal"]
    assert [line.split() for line in body] == [
        ["bulk", "MB/s", "550", "2.50", "300", ">=", "2", "x", "ws:", "met"],
        ["echo", "v", "us", "40.0", "0.80", "50.0", "<=", "0.5", "x", "ws:", "missed"],
        ["growth", "v", "MiB", "0", "0", "2,095", "<=", "1", "MiB:", "met"],
        ["free", "s", "-", "-", "1.50"],
    ]


def test_markdown() -> None:
    lines = table().markdown().splitlines()
    assert lines[:3] == [
        "|  | unit | medusa | ws |",
        "| --- | --- | --- | --- |",
        "| bulk | MB/s | 550 (2.50) | 300 |",
    ]
    assert lines[-1] == "| free | s | - | 1.50 |"


@pytest.mark.parametrize(
    ("value", "text"), [(None, "-"), (0.0, "0"), (0.0123, "0.012"), (0.5, "0.50"), (42.04, "42.0"), (12345.6, "12,346")]
)
def test_numbers_have_three_significant_digits(value: float | None, text: str) -> None:
    assert number(value) == text


def test_a_figure_may_be_a_quotient() -> None:
    fairness = Figure("fairness", "", ("least",), over=("most",))
    assert value(fairness, {"least": 3, "most": 4}) == 0.75
    assert value(fairness, {"least": 0, "most": 0}) == 0
    assert value(DELAY, {"rtt_us": {"p50": 12.5}}) == 12.5


def test_without_a_saved_result_an_error_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="--keep"):
        results.load(tmp_path)


@pytest.mark.parametrize("name", ["README.md", "docs/benchmark.md"])
def test_documents_quote_the_latest_run(name: str) -> None:
    latest = results.load(results.DIRECTORY)
    assert documents.quoted(name) == documents.figures(latest)[name]


def test_the_summary_has_the_chosen_lines_of_each_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "SUMMARY", ("echo", "bulk", "free"))
    other = Table("ssh", "mlogin", ["mlogin", "ssh"], [Line(FREE, {"mlogin": [2.0], "ssh": [1.0]})])
    none = Table("ws", "medusa", ["medusa", "ws"], [Line(GROWTH, {"medusa": [1.0]})])
    first, second = results.Result({}, [], [table(), none, other]).summary().split("\n\n|")
    assert [line.split(" | ")[0] for line in first.splitlines()[2:5]] == ["| echo v", "| bulk", "| free"]
    assert second.endswith("| free | s | 2.00 (2.00) | 1.00 |\n\nIn brackets: the ratio to ssh. v: less is better.\n")


def test_readme_has_five_figures() -> None:
    lines = documents.quoted("README.md").splitlines()
    assert len([line for line in lines if line.startswith("| ") and "---" not in line and "| unit |" not in line]) == 5
