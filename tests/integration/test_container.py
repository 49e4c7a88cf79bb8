"""deploy/Dockerfile: its form, and what it copies, runs and starts, in namespaces in place of a container."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import pytest

from tests.waiting import PATIENCE
from tests.wheels import ROOT, copy_sources, link_packages

DOCKERFILE = ROOT / "deploy/Dockerfile"

# The life of the container's program: it gets healthy, and is asked to stop.
_LIFE = """
if {check}; then echo 'healthy before its start'; exit 1; fi
if touch /opt/medusa/x /x /tmp/x; then echo 'not read-only'; exit 1; fi 2>/dev/null
{entry} "$@" &
until {check}; do kill -0 $! || exit 1; done
kill $!
wait $!
"""


def tool(name: str) -> str:
    """The path of a program; skips the test if it is missing."""
    path = shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))
    if path is None:
        pytest.skip(f"needs {name}")
    return path


def stages() -> list[list[tuple[str, str]]]:
    """The instructions of each stage with their arguments; lines that belong together are joined."""
    lines = [line for line in DOCKERFILE.read_text().splitlines() if not line.startswith("#")]
    text = re.sub(r"\\\n\s*", "", "\n".join(lines))
    found: list[list[tuple[str, str]]] = []
    for line in filter(None, text.splitlines()):
        name, _, rest = line.partition(" ")
        if name == "FROM":
            found.append([])
        found[-1].append((name, rest))
    return found


def arguments(stage: int, name: str) -> list[str]:
    return [rest for found, rest in stages()[stage] if found == name]


def program(name: str) -> str:
    """The command of the last stage's instruction of this name, for sh."""
    return shlex.join(json.loads(re.sub(r"^[^\[]*", "", arguments(-1, name)[0])))


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What Medusa needs at its build and later, as it is installed here."""
    place = tmp_path_factory.mktemp("packages")
    found = re.search(r"^requires = (\[.*?\])", (ROOT / "pyproject.toml").read_text(), re.DOTALL | re.MULTILINE)
    assert found is not None
    link_packages(place, ["pip", *json.loads(found[1]), *(metadata.requires("medusa-session") or [])])
    return place


def sandboxed(packages: Path, options: Sequence[str], script: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Runs a script for sh in namespaces of its own, without network, in a root of the system's programs."""
    command = [tool("bwrap"), "--unshare-all", "--die-with-parent", "--clearenv"]
    command += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]
    for path in ["/usr", "/bin", "/lib", "/lib64", "/etc", sys.base_prefix, sys.prefix, str(packages)]:
        if Path(path).is_symlink():
            command += ["--symlink", str(Path(path).readlink()), path]
        elif Path(path).exists():
            command += ["--ro-bind", path, path]
    command += ["--setenv", "PYTHONPATH", str(packages), *options, "/bin/sh", "-c", script, "sh", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3 * PATIENCE, check=False)
    if done.stderr.startswith("bwrap: "):
        pytest.skip(done.stderr.splitlines()[0])
    return done


@pytest.fixture(scope="module")
def image(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the first stage leaves in /opt/medusa."""
    place = tmp_path_factory.mktemp("image")
    context, source, image = copy_sources(place / "context"), place / "src", place / "medusa"
    source.mkdir()
    image.mkdir()
    for words in map(str.split, arguments(0, "COPY")):
        for name in words[:-1]:
            found, target = context / name, source / words[-1]
            shutil.copytree(found, target) if found.is_dir() else shutil.copy(found, target)
    variables = {
        "PATH": "/usr/bin:/bin",
        "CC": "false",
        "PIP_NO_DEPS": "1",
        "PIP_NO_BUILD_ISOLATION": "false",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    options = ["--bind", str(source), "/src", "--bind", str(image), "/opt/medusa", "--chdir", "/src"]
    for name, value in variables.items():
        options += ["--setenv", name, value]
    for script in arguments(0, "RUN"):
        if "apt-get" not in script:
            python = getattr(sys, "_base_executable", sys.executable)
            done = sandboxed(packages, options, script.replace("python -m", f"{python} -m"))
            assert done.returncode == 0, done.stdout + done.stderr
    return image


@pytest.fixture
def container(image: Path) -> list[str]:
    """The options of a container of that image with a read-only root."""
    (user,) = arguments(-1, "USER")
    options = ["--ro-bind", str(image), "/opt/medusa", "--remount-ro", "/tmp", "--remount-ro", "/"]
    for word, number in zip(("--uid", "--gid"), user.split(":"), strict=True):
        assert int(number) > 0
        options += [word, number]
    for assignment in " ".join(arguments(-1, "ENV")).split():
        name, _, value = assignment.partition("=")
        options += ["--setenv", name, value.replace("$PATH", "/usr/bin:/bin")]
    return options


@pytest.mark.parametrize("port", ["8400", "tcp://10.96.0.7:8381"])
def test_the_container_gets_healthy_and_stops(packages: Path, container: list[str], port: str) -> None:
    life = _LIFE.format(check=program("HEALTHCHECK"), entry=program("ENTRYPOINT"))
    options = [*container, "--setenv", "MEDUSA_PORT", port]
    done = sandboxed(packages, options, life, "--trusted-network", "--drain-timeout", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == f"listening http://0.0.0.0:{port[-4:]}\n"


def test_the_container_does_not_open_itself_to_all(packages: Path, container: list[str]) -> None:
    done = sandboxed(packages, container, program("ENTRYPOINT"))
    assert done.returncode == 1
    assert "--accounts" in done.stderr


def test_hadolint_finds_nothing_wrong() -> None:
    done = subprocess.run([tool("hadolint"), str(DOCKERFILE)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_build_gets_what_it_copies() -> None:
    shown = (ROOT / "deploy/Dockerfile.dockerignore").read_text().splitlines()
    copied = [name for words in map(str.split, arguments(0, "COPY")) for name in words[:-1]]
    assert {f"!{name}" for name in copied} == {line for line in shown if line.startswith("!")}
