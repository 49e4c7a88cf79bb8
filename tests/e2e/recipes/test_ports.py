"""Recipes that use a port of the job: Jupyter in a Slurm job, TensorBoard."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest

from tests.e2e.recipes import kernel
from tests.e2e.recipes.conftest import Recipe, needs
from tests.machines import Machine
from tests.slurms import Slurm, slurm
from tests.waiting import wait_until

JUPYTER_AS_ROOT = {"ServerApp": {"allow_root": True}}
"""A setting for root, which the tests need and users do not."""

SCALAR = """
from tensorboard.summary import Writer
writer = Writer("run")
writer.add_scalar("loss", 0.25, step=7)
writer.close()
"""

SCALARS = "http://localhost:6006/data/plugin/scalars/scalars?run=.&tag=loss"


@pytest.fixture
def cluster(node: Machine, tmp_path: Path) -> Iterator[Slurm]:
    """A Slurm on the node, where jobs are submitted too."""
    if not shutil.which("slurmctld", path="/usr/sbin:/usr/bin"):
        pytest.skip("needs slurmctld, slurmd, munged")
    with slurm(tmp_path, node.enter) as running:
        node.environ.update(running.environ)
        yield running


def _url(printed: str) -> str:
    """The address of Jupyter; "" if there is none yet."""
    found = re.search(r"http://localhost:8888/\?token=\w+", printed)
    return found[0] if found else ""


def _points(answer: str) -> list[list[float]]:
    """What TensorBoard knows of a scalar; [] if it has not read it yet."""
    return cast(list[list[float]], json.loads(answer)) if answer.startswith("[") else []


@needs("jupyter_server", "ipykernel")
def test_jupyter_in_a_slurm_job(recipe: Callable[[str], Recipe], here: Machine, node: Machine, cluster: Slurm) -> None:
    jupyter = recipe("Jupyter in a Slurm job")
    (node.home / ".jupyter").mkdir()
    (node.home / ".jupyter/jupyter_server_config.json").write_text(json.dumps(JUPYTER_AS_ROOT))
    node.run(jupyter.block())
    with here.terminal(jupyter.block()) as forward:
        forward.until("forwarding 127.0.0.1:8888 to localhost:8888")
        ask = jupyter.block()
        url = wait_until(lambda: _url(here.run(ask)), "Jupyter's address")
        cell = "import os; print(6 * 7, os.environ['SLURM_JOB_ID'])"
        (job,) = cluster.jobs()
        assert here.run(f"python {kernel.__file__} '{url}' \"{cell}\"") == f"42 {job}\n"
        forward.type("\x03")
        assert forward.status() == 130
    here.run("medusa kill lab")
    wait_until(lambda: not cluster.jobs(), "the end of the job")


@needs("tensorboard")
@pytest.mark.usefixtures("train")
def test_tensorboard(recipe: Callable[[str], Recipe], here: Machine) -> None:
    here.run(f"medusa exec train -- python -c '{SCALAR}'")
    with here.terminal(recipe("TensorBoard").block()) as board:
        board.until(r"TensorBoard \S+ at http://localhost:6006/")
        assert "<title>TensorBoard</title>" in here.run("curl -fsS http://localhost:6006/")
        ask = f"curl -sS '{SCALARS}'"
        found = wait_until(lambda: _points(here.run(ask)), "the scalar")
        assert [point[1:] for point in found] == [[7, 0.25]]
        board.type("\x03")
        board.status()
