"""Programs that speak ssh, by one of two reflectors with one Redis, while the links to both are cut again and again."""

from __future__ import annotations

import contextlib
import hashlib
import random
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cuts import cuts
from tests.own_sessions import environ
from tests.reflectors import Reflector
from tests.sites import LONG, site
from tests.sshclients import Ssh
from tests.terminals import ROOT, assert_nothing_left, mlogin
from tests.waiting import PATIENCE, wait_until

SEED = 15
HOST = "train.medusa"
DATA = random.Random(SEED).randbytes(2_000_000)
DIGEST = hashlib.sha256(DATA).hexdigest()

SCRIPT = """
    if $SSH $HOST 'tee sent | sha256sum; exit 7' <data >digest; then exit 1; else [ $? = 7 ]; fi
    $SSH $HOST 'cat sent' >again
    scp -F $F -q data $HOST:copied
    scp -F $F -q $HOST:copied back
    rsync -e "$SSH" data $HOST:synced
    rsync -e "$SSH" $HOST:synced returned
    $SSH $HOST 'sha256sum sent copied synced; rm sent copied synced' >>digest
    sha256sum again back returned >>digest
"""


@contextlib.contextmanager
def _train(home: Path, reflector: Reflector, url: str) -> Iterator[None]:
    """A session of the name `train`, which mlogin and its agent keep at this reflector; the URL leads to it."""
    command = mlogin("-q", "--name", "train", "--reflector", url, "-c", "cat")
    with subprocess.Popen(command, env=environ(home), cwd=ROOT, stdin=subprocess.PIPE) as session:
        try:
            wait_until(lambda: [each for each in reflector.sessions() if each["has_slave"]], "the session")
            yield
            session.communicate(timeout=PATIENCE)
        finally:
            session.kill()


@pytest.mark.skipif(not (shutil.which("redis-server") and shutil.which("rsync")), reason="needs redis-server, rsync")
def test_copies_go_on(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    home, place = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("s")
    (tmp_path / "data").write_bytes(DATA)
    with contextlib.ExitStack() as stack:
        shared = stack.enter_context(site(tmp_path))
        near, far = (stack.enter_context(shared.reflector(timeouts=LONG)) for _ in range(2))
        ways = [stack.enter_context(cuts(each.port, SEED, mean=400_000, spared=6)) for each in (near, far)]
        urls = [f"http://127.0.0.1:{way.port}" for way in ways]
        stack.enter_context(_train(home, far, urls[1]))
        ssh = Ssh(place, environ(home), "train", "--reflector", urls[0], "--cwd", str(tmp_path / "job"))
        (tmp_path / "job").mkdir()
        with ssh.config.open("a") as config:
            config.write(f"    ControlPath {ssh.socket}\n")
        with ssh.master(HOST) as master:
            given = {**ssh.environ, "F": str(ssh.config), "HOST": HOST, "SSH": f"ssh -F {ssh.config}"}
            run = ["sh", "-ec", SCRIPT]
            subprocess.run(run, cwd=tmp_path, env=given, stdin=subprocess.DEVNULL, check=True, timeout=4 * PATIENCE)
            assert master.poll() is None
            assert master.stderr is not None
            master.terminate()
            said = master.stderr.read()
        assert (tmp_path / "digest").read_text().split()[::2] == [DIGEST] * 7
        assert [way.cuts >= 3 for way in ways] == [True, True]
        assert re.fullmatch(rb"(medusa ssh-proxy: reconnect(ed after|ing) .*\n)*", said)
    assert_nothing_left(home)
