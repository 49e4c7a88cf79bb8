"""The checks of conftest.py fail a test that breaks their rules."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

CONFTEST = Path(__file__).resolve().parent.parent / "conftest.py"

SUITE = {
    "test_process": "import subprocess\ndef test_it(): globals()['kept'] = subprocess.Popen(['true'])",
    "test_file": "def test_it(): globals()['kept'] = open(__file__)",
    "test_clean": "import os\ndef test_it(): assert 'MEDUSA_PORT' not in os.environ",
    "test_signals": "import os\ndef test_it(): assert os.waitstatus_to_exitcode(os.system('kill -HUP $$')) == -1",
    "test_skip": "import pytest\ndef test_it(): pytest.skip('no such tool')",
    "test_skip_all": "import pytest\npytest.importorskip('no_such_module')",
}


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.Pytester]:
    """A directory of tests with this suite's conftest, to be run in a process of its own."""
    pytester.makeconftest(CONFTEST.read_text())
    pytester.makepyfile(**SUITE)
    monkeypatch.setenv("PYTHONPATH", str(CONFTEST.parent.parent))
    monkeypatch.setenv("TESTS_TIMEOUT_FACTOR", "0.02")
    monkeypatch.setenv("MEDUSA_PORT", "1")
    monkeypatch.delenv("CI", raising=False)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as by nohup
    yield pytester
    signal.signal(signal.SIGHUP, before)


def test_leaks_are_errors_and_skips_are_skips(suite: pytest.Pytester) -> None:
    result = suite.runpytest_subprocess("--continue-on-collection-errors")
    result.assert_outcomes(passed=4, errors=2, skipped=2)
    result.stdout.fnmatch_lines_random(
        ["*left behind: process * (zombie true)", "*left behind: descriptor *test_file.py)"]
    )


def test_in_ci_a_skip_is_a_failure(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    result = suite.runpytest_subprocess("--continue-on-collection-errors")
    result.assert_outcomes(passed=4, failed=1, errors=3)
    result.stdout.fnmatch_lines(["*CI skips nothing*no_such_module*", "*CI skips nothing*no such tool*"])
