"""The man pages and the completions, read by the programs for which they are made."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.helppages.__main__ import completions, main, man_pages
from tests.reflectors import ROOT
from tests.terminals import environment, terminal

needs = {
    name: pytest.mark.skipif(not shutil.which(name), reason=f"needs {name}")
    for name in ("bash", "fish", "man", "mandoc", "zsh")
}

PAGES = ["man1/mlogin.1", "man1/medusa.1", "man8/medusa-reflector.8", "man1/medusa-agent.1"]


@pytest.fixture(scope="module")
def share(tmp_path_factory: pytest.TempPathFactory) -> Path:
    prefix = tmp_path_factory.mktemp("prefix")
    assert main([str(prefix)]) == 0
    return prefix / "share"


def test_where_they_are() -> None:
    shells = ["bash-completion/completions/{}", "zsh/site-functions/_{}", "fish/vendor_completions.d/{}.fish"]
    assert set(man_pages()) == {f"share/man/{page}" for page in PAGES}
    assert set(completions()) == {f"share/{shell.format(name)}" for shell in shells for name in ("mlogin", "medusa")}


@needs["man"]
@needs["mandoc"]
@pytest.mark.parametrize(
    ("page", "words"),
    [
        (PAGES[0], ["-c, --command COMMAND", "~.", "MANTA_KEY_ID", "medusa-reflector(8)"]),
        (PAGES[1], ["MEDUSA SESSIONS", "medusa sign-url [OPTION...] ID", "--expires SECONDS"]),
        (PAGES[2], ["--max-sessions-per-login N", "MEDUSA_BIND_IP", "SIGTERM"]),
        (PAGES[3], ["agent.sh wrap [OPTION...] -- COMMAND", "--extract DIR", "--url-command COMMAND"]),
    ],
)
def test_a_man_page(share: Path, page: str, words: list[str]) -> None:
    file = str(share / "man" / page)
    lint = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", file], capture_output=True, text=True, check=False)
    assert (lint.returncode, lint.stdout) == (0, "")
    environ = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "MANWIDTH": "80"}
    read = subprocess.run(["man", "-l", file], env=environ, capture_output=True, text=True, check=True)
    assert [word for word in words if word not in read.stdout] == []


LINES = {
    "mlogin g": "gpu",
    "mlogin slur": "slurm:",
    "mlogin --reflec": "--reflector",
    "mlogin --launcher slu": "slurm",
    "mlogin --launcher=slu": "slurm",
    "mlogin --config /etc/passw": "/etc/passwd",
    "medusa config show g": "gpu",
    "medusa sess": "sessions",
    "medusa sessions --js": "--json",
    "medusa sessions li": "list",
    "medusa reflector --log-format con": "console",
}
"""What is typed, and what the shell makes of its last word."""

SHELLS = {
    "bash": (
        ["bash", "--norc", "-i"],
        "for f in mlogin medusa; do . {share}/bash-completion/completions/$f; done; bind 'set bell-style none'",
        'mlogin() {{ echo "[got $*]"; }}; medusa() {{ echo "[got $*]"; }}',
    ),
    "zsh": (
        ["zsh", "-f", "-i"],
        "fpath=({share}/zsh/site-functions $fpath); autoload -Uz compinit; compinit -D -u",
        'mlogin() {{ echo "[got $*]"; }}; medusa() {{ echo "[got $*]"; }}',
    ),
}


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """With a config file that has a profile `gpu`."""
    config = tmp_path / "medusa" / "config"
    config.parent.mkdir()
    config.write_text("quiet = true\n\n [gpu]\nlauncher = local\n")
    return {**environment(tmp_path), "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}


@pytest.mark.parametrize("shell", [pytest.param(name, marks=needs[name]) for name in SHELLS])
def test_tab_completes(share: Path, environ: dict[str, str], shell: str) -> None:
    command, *lines = SHELLS[shell]
    with terminal(command, environ, columns=200) as opened:
        for line in [*lines, "echo rea''dy"]:
            opened.type(line.format(share=share) + "\r")
        opened.until("ready")
        for typed, word in LINES.items():
            opened.type(f"{typed}\t\r")
            opened.until(rf"\[got [^\]]*{word}\]")
        opened.type("exit\r")
        assert opened.status() == 0


@needs["fish"]
def test_fish_completes(share: Path, environ: dict[str, str]) -> None:
    asked = "; ".join(f"complete -C '{typed}'" for typed in LINES)
    load = "; ".join(f"source {share}/fish/vendor_completions.d/{name}.fish" for name in ("mlogin", "medusa"))
    done = subprocess.run(
        ["fish", "--no-config", "-c", f"{load}; {asked}"],
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )
    found = [line.split("\t")[0] for line in done.stdout.splitlines()]
    assert [word for word in LINES.values() if not any(one.rpartition("=")[2].startswith(word) for one in found)] == []


def test_a_build_needs_few_packages() -> None:
    """Only what pyproject.toml asks for, and what that needs, may be imported."""
    script = """if True:
        import sys
        class Refuse:
            def find_spec(self, name, path=None, target=None):
                if name.partition('.')[0] in {'cryptography', 'gevent', 'kubernetes', 'redis', 'requests', 'structlog'}:
                    raise ImportError(name)
        sys.meta_path.insert(0, Refuse())
        from scripts.helppages.__main__ import completions, man_pages
        man_pages(), completions()
    """
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True)
