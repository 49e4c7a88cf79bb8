"""Recipes of programs that use ssh or a terminal: rsync, git, a debugger, Ansible."""

from __future__ import annotations

import importlib.util
import re
import shutil
from collections.abc import Callable

import pytest

from tests.e2e.recipes.conftest import Recipe
from tests.machines import Machine

Take = Callable[[str], Recipe]

COMMIT = "git -c user.name=x -c user.email=x@y commit -q -a -m"


@pytest.mark.skipif(not shutil.which("rsync"), reason="needs rsync")
@pytest.mark.usefixtures("train")
def test_rsync(recipe: Take, here: Machine, node: Machine) -> None:
    rsync = recipe("rsync")
    here.run("mkdir run; echo input > 'run/a file'")
    here.run(rsync.block())
    node.run("mkdir run/out; tr a-z A-Z < 'run/a file' > 'run/out/a file'")
    here.run(rsync.block())
    assert here.run("cat 'out/a file'") == "INPUT\n"


@pytest.mark.skipif(not shutil.which("git"), reason="needs git")
@pytest.mark.usefixtures("train")
def test_git_push_into_the_job(recipe: Take, here: Machine, node: Machine) -> None:
    git = recipe("git push into the job")
    here.run(f"git init -q -b main project; cd project; echo one > file; git add file; {COMMIT} one")
    here.run(f"cd project\n{git.block()}")
    push = git.block()
    here.run(f"cd project\n{push}")
    assert node.run("cat work/file") == "one\n"
    here.run(f"cd project; echo two > file; {COMMIT} two\n{push}")
    assert node.run("cat work/file") == "two\n"


@pytest.mark.usefixtures("train")
def test_a_debugger(recipe: Take, here: Machine, node: Machine) -> None:
    (node.home / "train.py").write_text("answer = 6 * 7\nprint('trained')\n")
    with here.terminal(recipe("A debugger").block()) as screen:
        screen.until("\\(Pdb\\) ")
        screen.type("n\n")
        screen.until("\\(Pdb\\) ")
        screen.type("p answer\n")
        screen.until("42\r\n")
        screen.type("q\n")
        assert screen.status() == 0


@pytest.mark.skipif(importlib.util.find_spec("ansible") is None, reason="needs ansible-core")
@pytest.mark.usefixtures("train")
def test_an_ansible_playbook(recipe: Take, here: Machine, node: Machine) -> None:
    ansible = recipe("An Ansible playbook")
    ansible.write(here, "play.yml")
    said = here.run(ansible.block())
    assert re.search("ok=4 .*unreachable=0 .*failed=0", said), said
    assert here.run("cat fetched/run.conf") == node.run("cat run.conf") == "lr = 0.1\n"
