"""The long run of `make chaos`: sessions beside each other whose links are cut thousands of times.

Each session passes bytes through pipes or a terminal, in both directions, and compares digests and the exit status.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from medusa.client.outcome import OWN_ERROR
from tests.cuts import CutProxy, cuts
from tests.reflectors import running
from tests.terminals import ROOT, Terminal, environment, mlogin, terminal
from tests.waiting import POLL

SESSIONS = 6
PIPED, TYPED = 8_000_000, 200_000
TIMEOUT = 600.0


class Run:
    """The whole run: what has passed, and what was wrong."""

    def __init__(self, proxy: CutProxy, cuts: int, amount: int, home: Path) -> None:
        self._proxy, self._cuts, self._amount, self._home = proxy, cuts, amount, home
        self.url = f"http://127.0.0.1:{proxy.port}"
        self.passed = self.sessions = 0
        self.wrong: list[str] = []
        self._lock = threading.Lock()

    @property
    def over(self) -> bool:
        return bool(self.wrong) or (self._proxy.cuts >= self._cuts and self.passed >= self._amount)

    def work(self, number: int) -> None:
        """One session after the other."""
        numbers, session = random.Random(f"{number}"), self._typed if number == 0 else self._piped
        while not self.over:
            try:
                passed, wrong = session(numbers.randbytes(TYPED if number == 0 else PIPED))
            except Exception as error:  # noqa: BLE001  (such as a session that does not end)
                passed, wrong = 0, f"session {number}: {error!r}"
            with self._lock:
                self.passed += passed
                self.sessions += 1
                self.wrong += [wrong] if wrong else []

    def _piped(self, data: bytes) -> tuple[int, str]:
        command = mlogin("-q", "--reflector", self.url, "-c", "cat; exit 7")
        run = subprocess.run(
            command, input=data, capture_output=True, cwd=ROOT, env=environment(self._home), timeout=TIMEOUT
        )
        if run.returncode == OWN_ERROR:  # the first request was cut
            return 0, ""
        right = run.returncode == 7 and run.stdout == data
        return 2 * len(
            data
        ), "" if right else f"pipes: status {run.returncode}, {len(run.stdout)} bytes, {run.stderr!r}"

    def _typed(self, data: bytes) -> tuple[int, str]:
        line = f"stty raw -echo; echo ready; head -c {len(data)} | tee /proc/self/fd/2 | sha256sum; exit 7"
        command = mlogin("-q", "-t", "-e", "none", "--reflector", self.url, "-c", line)
        said = self._home / "said"
        with terminal(["sh", "-c", f'exec "$@" 2>{said}', "sh", *command], environment(self._home)) as opened:
            if not _shows(opened, b"ready") and opened.process.poll() == OWN_ERROR:  # the first request was cut
                return 0, ""
            typist = threading.Thread(target=opened.type, args=(data,), daemon=True)
            typist.start()
            shown = _shows(opened, hashlib.sha256(data).hexdigest().encode())
            right = shown and opened.status() == 7 and data in opened.screen
            wrong = f"terminal: status {opened.process.poll()}, {len(opened.screen)} bytes, {said.read_text()!r}"
        return 2 * len(data), "" if right else wrong


def _shows(opened: Terminal, wanted: bytes) -> bool:
    """Reads until the bytes `wanted` are on the screen. False if mlogin ends before, or too much time passes."""
    until = time.monotonic() + TIMEOUT
    while wanted not in opened.screen:
        if not opened.read(POLL) and (opened.process.poll() is not None or time.monotonic() > until):
            return wanted in opened.screen
    return True


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cuts", type=int, default=10_000)
    parser.add_argument("--bytes", type=int, default=1_000_000_000)
    parser.add_argument("--mean", type=int, default=400_000, help="bytes between two cuts of a link")
    parser.add_argument("--seed", type=int, default=14)
    given = parser.parse_args()
    begun = time.monotonic()
    with (
        tempfile.TemporaryDirectory() as home,
        running(check=False) as reflector,
        cuts(reflector.port, given.seed, given.mean, spared=0) as proxy,
    ):
        run = Run(proxy, given.cuts, given.bytes, Path(home))
        threads = [threading.Thread(target=run.work, args=(number,), daemon=True) for number in range(SESSIONS)]
        for thread in threads:
            thread.start()
        while living := [thread for thread in threads if thread.is_alive()]:
            living[0].join(10.0)
            passed = f"{proxy.cuts} cuts, {run.passed / 1e6:.0f} MB, {run.sessions} sessions"
            print(f"{time.monotonic() - begun:.0f} s: {passed}", flush=True)
    print("\n".join(run.wrong) or "every byte and every status is right")
    return 1 if run.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
