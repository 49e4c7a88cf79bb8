"""`medusa cp` while links are cut, again and again: it goes on, and every byte arrives."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

from tests.cuts import cuts
from tests.reflectors import running
from tests.terminals import ROOT, environment, mlogin
from tests.waiting import PATIENCE, Deadline

SEED = 15
DATA = random.Random(SEED).randbytes(2_000_000)


def test_copies_go_on(home: Path) -> None:
    (home.parent / "src").mkdir()
    (home.parent / "src" / "large").write_bytes(DATA)
    for number in range(100):
        (home.parent / "src" / f"{number}").write_bytes(DATA[: number * 50])
    with running() as reflector, cuts(reflector.port, SEED, mean=400_000, spared=4) as proxy:
        url = f"http://127.0.0.1:{proxy.port}"
        command = mlogin("-q", "--name", "train", "--reflector", url, "-c", "echo begun; cat")
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with subprocess.Popen(command, env=environment(home), cwd=ROOT, **pipes) as session:  # type: ignore[call-overload]
            try:
                assert session.stdout.readline() == b"begun\n"
                deadline = Deadline(10 * PATIENCE)
                for source, target in (
                    (f"{home.parent}/src", f"train:{home.parent}/there"),
                    (f"train:{home.parent}/there", f"{home.parent}/back"),
                ):
                    copy = [sys.executable, "-m", "medusa", "cp", "-rp", "--reflector", url, source, target]
                    subprocess.run(copy, env=environment(home), cwd=ROOT, timeout=deadline.left, check=True)
                subprocess.run(["diff", "-r", home.parent / "src", home.parent / "back"], check=True)
                assert proxy.cuts >= 3
                session.communicate(timeout=deadline.left)
            finally:
                session.kill()
