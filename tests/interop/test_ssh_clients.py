"""All that speaks ssh, in a job without forwarding on a node with a read-only root that has no sshd, ssh and bash.

The agent runs there from its archive, by Python 3.8 if this machine has one, or else by PyPy 3.9, which the set-up of
the tests installs. Ansible's modules run by the tests' own Python, because PyPy takes seconds to start each of them.
Every client moves the same tree to the job and back, with its digests.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import os
import random
import re
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncssh
import pytest

from medusa.client.archive import find_archive
from tests.archive.minimal import inside, make_root
from tests.archive.test_run import runs
from tests.own_sessions import environ, train
from tests.sshclients import MEDUSA, Ssh, needs_fuse
from tests.terminals import ROOT, assert_nothing_left
from tests.waiting import PATIENCE

HOST = "train.medusa"

NEEDED = ("bwrap", "busybox", "git", "pypy3", "rsync", "scp", "sftp")
pytestmark = pytest.mark.skipif(not all(map(shutil.which, NEEDED)), reason=f"needs {', '.join(NEEDED)}")

HIDDEN = ("ssh", "sshd", "scp", "sftp", "sftp-server", "bash", "/usr/lib/openssh/sftp-server")

needs_ansible = pytest.mark.skipif(importlib.util.find_spec("ansible") is None, reason="needs ansible-core")

Digests = dict[str, str]

BYTES = random.Random(38).randbytes(2_000_000)
FILES = {"large": BYTES, "sub/a file": BYTES[:70_001], "sub/empty": b"", "sub/run": b"#!/bin/sh\necho ran\n"}
DIGESTS: Digests = {name: hashlib.sha256(data).hexdigest() for name, data in FILES.items()}
SUM = "find . -name .git -prune -o -type f -exec sha256sum {} +"

COPIES = {
    "scp": """
        scp -F $F -rpq tree $HOST:scp
        scp -F $F -rpq $HOST:scp back
    """,
    "scp-O": """
        scp -O -F $F -rpq tree $HOST:scp-O
        scp -O -F $F -rpq "$HOST:~/scp-[O]" back
        scp -O -F $F -q tree/large "tree/sub/a file" $HOST:/home
        scp -O -F $F -q "$HOST:a\\ file" $HOST:large .
        cmp large tree/large
        cmp "a file" "tree/sub/a file"
        scp -O -F $F -q $HOST:missing . 2>said && exit 1; [ $? = 1 ]
        grep -q "^scp: missing: No such file or directory" said
        scp -O -F $F -q tree/large $HOST:/none/x 2>said && exit 1; [ $? = 1 ]
        grep -q "^scp: /none/x: No such file or directory" said
        scp -O -F $F -q tree/large $HOST:/bin/x 2>said && exit 1; [ $? = 1 ]
        grep -q "^scp: /bin/x: Permission denied" said
    """,
    "sftp": """
        printf 'mkdir new\\nput -pR tree new/\\nrename new/tree sftp\\nget -pR sftp back\\n' >lines
        sftp -F $F -q -b lines $HOST
    """,
    "rsync": """
        rsync -e "$SSH" -a tree/ $HOST:rsync/
        rsync -e "$SSH" -a $HOST:rsync/ back/
    """,
    "git": """
        export GIT_SSH_COMMAND="$SSH"
        $SSH $HOST 'git init -q -b main git && git -C git config receive.denyCurrentBranch updateInstead' 2>/dev/null
        git init -q -b main tree
        git -C tree add .
        git -C tree -c user.name=x -c user.email=x@y commit -q -m one
        git -C tree push -q $HOST:git main
        git clone -q $HOST:git back
    """,
    "sshfs": """
        mkdir mounted
        sshfs -F $F $HOST: mounted
        trap 'fusermount -u mounted' EXIT
        cp -rp tree mounted/sshfs
        cp -rp mounted/sshfs back
    """,
    "ansible": """
        export ANSIBLE_SSH_ARGS="-F $F" ANSIBLE_HOME=$PWD/.ansible ANSIBLE_PIPELINING=1
        cp -rp tree ansible
        tar -cf tree.tar ansible
        ansible-playbook -i $HOST, -e ansible_python_interpreter=$OWN play.yml >said || { cat said; exit 1; }
        tar -xf fetched.tar --transform s,ansible,back,
    """,
}

PLAY = """
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.copy: {src: tree.tar, dest: ~/packed.tar}
    - ansible.builtin.raw: tar -xf packed.tar
    - ansible.builtin.fetch: {src: ~/packed.tar, dest: fetched.tar, flat: true}
"""


def node(place: Path) -> list[str]:
    """The words before a command that is to run on the node, whose root is made below `place`."""
    root = make_root(place / "root")
    oldest, own = _executable("python3.8" if runs("python3.8") else "pypy3"), _executable(sys.executable)
    copied = {name: _executable(name) for name in ("git", "rsync")}
    shown = [Path("/usr/lib")]
    for program in {oldest, own}:
        if program.is_relative_to("/usr/bin"):
            copied[program.name] = program  # its library is below /usr/lib
        else:
            shown.append(program.parents[1])
    for path in (Path("/usr/bin"), Path("/home"), *shown):
        (root / path.relative_to("/")).mkdir(parents=True, exist_ok=True)
    for name, program in copied.items():
        shutil.copy(program, root / "usr/bin" / name)
        (root / "bin" / name).symlink_to(f"/usr/bin/{name}")
    for name, leads in {"git-receive-pack": "git", "git-upload-pack": "git", "python3": str(oldest)}.items():
        (root / "bin" / name).symlink_to(leads)
    shutil.copy(find_archive(None), root / "agent.sh")
    binds = [word for path in shown for word in ("--ro-bind", str(path), str(path))]
    environ = ("--setenv", "HOME", "/home", "--setenv", "MEDUSA_NO_FORWARDING", "true")
    return inside(root, *binds, "--tmpfs", "/usr/lib/openssh", "--tmpfs", "/home", *environ)


def _executable(name: str) -> Path:
    found = shutil.which(name)
    assert found is not None
    return Path(found).resolve()


@pytest.fixture(scope="module")
def ssh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ssh]:
    """ssh with a connection to a session on the node. mlogin, its reflector and ssh-proxy run outside."""
    home, place = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("s")
    job = place / "job.sh"
    agent = "/bin/sh /agent.sh --config /dev/stdin"
    job.write_text(f"#!/bin/sh\nexec {shlex.join(node(place))} {agent}\n")
    with train(home, "--archive", str(job)):
        client = Ssh(place, environ(home), "train")
        with client.config.open("a") as config:
            config.write(f"    ControlPath {client.socket}\n    SendEnv PYTHONPATH A_TOKEN MEDUSA_X\n")
        client.environ.update(A_TOKEN="x", MEDUSA_X="y")
        with client.master(HOST):
            yield client
    assert_nothing_left(home)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name, data in FILES.items():
        (tmp_path / "tree" / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / "tree" / name).write_bytes(data)
    (tmp_path / "tree/sub/run").chmod(0o755)
    return tmp_path / "tree"


def digests(listed: bytes) -> Digests:
    """What `SUM` has printed, by the names of the files."""
    return {name: digest for digest, name in re.findall(r"^(\w{64})  \./(.*)$", listed.decode(), re.MULTILINE)}


def assert_same(ssh: Ssh, there: str, back: Path) -> None:
    """The tree in the job, and what has come back from there, are the whole tree."""
    status, out, err = ssh.run(HOST, f"cd {there} && ./sub/run && {SUM}")
    assert (status, out[:4], err) == (0, b"ran\n", b"")
    assert digests(out) == DIGESTS
    assert digests(subprocess.run(["sh", "-c", SUM], cwd=back, stdout=-1, check=True).stdout) == DIGESTS
    assert os.access(back / "sub/run", os.X_OK)


def test_the_node(ssh: Ssh) -> None:
    """What it does not have; and what is there works by its usual ways."""
    line = f"command -v {' '.join(HIDDEN)}; touch /x /bin/x 2>/dev/null || echo read-only; python3 -V 2>&1; exit 7"
    status, out, err = ssh.run(HOST, line)
    assert (status, err) == (7, b"")
    assert re.match(rb"read-only\nPython 3\.[89]\.", out), out
    assert ssh.run(HOST, "echo $PYTHONPATH $A_TOKEN ${MEDUSA_X-no}")[1] == f"{ROOT} x no\n".encode()
    digest = hashlib.sha256(BYTES).hexdigest().encode()
    assert ssh.run(HOST, "tee /dev/stderr | sha256sum", typed=BYTES) == (0, digest + b"  -\n", BYTES)


@pytest.mark.parametrize(
    "name",
    [
        "scp",
        "scp-O",
        "sftp",
        "rsync",
        "git",
        pytest.param("sshfs", marks=needs_fuse),
        pytest.param("ansible", marks=needs_ansible),
    ],
)
def test_copies(ssh: Ssh, tree: Path, name: str) -> None:
    (tree.parent / "play.yml").write_text(PLAY)
    given = {"F": str(ssh.config), "HOST": HOST, "SSH": f"ssh -F {ssh.config}", "HOME": str(tree.parent)}
    given["OWN"] = str(_executable(sys.executable))
    done = subprocess.run(
        ["sh", "-ec", COPIES[name]],
        cwd=tree.parent,
        env={**ssh.environ, **given, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=3 * PATIENCE,
    )
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert_same(ssh, name, tree.parent / "back")


async def _use_asyncssh(ssh: Ssh, tree: Path) -> None:
    """As docs/ssh.md says: the proxy has the other end of asyncssh's socket."""
    here, there = socket.socketpair()
    with there:
        proxy = await asyncio.create_subprocess_exec(
            *MEDUSA, "ssh-proxy", "train", stdin=there.fileno(), stdout=there.fileno(), env=ssh.environ, cwd=ROOT
        )
    known = str(ssh.place / "state/medusa/known_hosts")
    async with asyncssh.connect(HOST, sock=here, known_hosts=known, config=None, agent_path=None) as connection:
        run = await connection.run("tee /dev/stderr; exit 3", input=BYTES, encoding=None)
        assert (run.exit_status, run.stdout, run.stderr) == (3, BYTES, BYTES)
        with pytest.raises(asyncssh.ChannelOpenError, match="the job's agent runs with --no-forwarding"):
            await connection.open_connection("localhost", 22)
        for name in ("TERM", "INT", "KILL", "USR1"):
            process = await connection.create_process("exec sleep 1000")
            process.send_signal(name)
            done = await process.wait()
            assert (done.exit_status, done.exit_signal and done.exit_signal[0]) == (-1, name)
        async with connection.start_sftp_client() as sftp:
            await sftp.put(str(tree), "asyncssh", recurse=True, preserve=True)
            await sftp.get("asyncssh", str(tree.parent / "back"), recurse=True, preserve=True)
    await proxy.wait()


def test_asyncssh(ssh: Ssh, tree: Path) -> None:
    asyncio.run(asyncio.wait_for(_use_asyncssh(ssh, tree), 3 * PATIENCE))
    assert_same(ssh, "asyncssh", tree.parent / "back")
