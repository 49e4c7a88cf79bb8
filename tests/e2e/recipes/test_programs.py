"""Recipes of programs that use ssh or a terminal: rsync, git, a debugger, Ansible."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.recipes import editor_debugger
from tests.e2e.recipes.conftest import Recipe, needs
from tests.machines import USERS_HOME, Machine
from tests.sshclients import needs_fuse
from tests.sshds import needs_sshd, sshd

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


@needs_fuse
@pytest.mark.usefixtures("train")
def test_the_jobs_files_as_a_directory(recipe: Take, here: Machine, node: Machine) -> None:
    sshfs = recipe("The job's files as a directory")
    node.run("mkdir -p run; seq 100000 > run/numbers")
    here.run(sshfs.block())
    assert here.run("sha256sum < train/numbers; seq 7 100000 > train/more") == node.run("sha256sum < run/numbers")
    here.run(sshfs.block())
    assert node.run("seq 7 100000 | cmp - run/more; rm -r run") == ""


@needs_sshd
@pytest.mark.usefixtures("train")
def test_a_host_that_only_the_job_reaches(recipe: Take, here: Machine, node: Machine, tmp_path: Path) -> None:
    """The other host is the node itself: an sshd on its loopback."""
    with sshd(tmp_path, tmp_path, enter=node.enter) as other:
        block = other.config.read_text().replace("Host node", "Host node17")
        with (here.home / ".ssh/config").open("a") as config:
            config.write(block)
        assert here.run(recipe("A host that only the job reaches").block()) == node.run("hostname")
        assert here.run("ssh node17 hostname 2>/dev/null || echo $?") == "255\n"


@needs("debugpy")
@pytest.mark.usefixtures("train")
def test_a_debugger(recipe: Take, here: Machine, node: Machine) -> None:
    debuggers = recipe("A debugger")
    (node.home / "train.py").write_text("answer = 6 * 7\nprint('trained')\n")
    with here.terminal(debuggers.block()) as screen:
        screen.until("\\(Pdb\\) ")
        screen.type("n\n")
        screen.until("\\(Pdb\\) ")
        screen.type("p answer\n")
        screen.until("42\r\n")
        screen.type("q\n")
        assert screen.status() == 0
    with here.terminal(debuggers.block()) as screen:
        attach = f"python {editor_debugger.__file__} 5678 {USERS_HOME}/train.py 2 answer"
        assert here.run(attach) == "42\n"
        screen.until("trained\r?\n")
        assert screen.status() == 0


@needs("ansible")
@pytest.mark.usefixtures("train")
def test_an_ansible_playbook(recipe: Take, here: Machine, node: Machine) -> None:
    ansible = recipe("An Ansible playbook")
    ansible.write(here, "play.yml")
    said = here.run(ansible.block())
    assert re.search("ok=4 .*unreachable=0 .*failed=0", said), said
    assert here.run("cat fetched/run.conf") == node.run("cat run.conf") == "lr = 0.1\n"
