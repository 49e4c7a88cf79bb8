"""Client, reflector and agent of different versions: each mixture of the present ones and those of an earlier commit.

docs/install.md has the table.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agents import job_environ, launched
from tests.signing import Key, allow, write_key
from tests.waiting import PATIENCE
from tests.wheels import ROOT, earlier

ROWS = re.findall(
    r"^\| (new|old) \| (new|old) \| (new|old) \| yes", (ROOT / "docs/install.md").read_text(), re.MULTILINE
)


class Versions:
    """The programs of both versions, and a running reflector of each."""

    def __init__(self, place: Path) -> None:
        self._key, accounts = Key("ed25519"), place / "accounts"
        accounts.mkdir()
        allow(accounts, "alice", self._key)
        self._environ = {**job_environ(), "HOME": str(place), "MEDUSA_PYTHON": sys.executable}
        self._key_file = write_key(place / "key", self._key)
        self._trees = {"new": ROOT, "old": earlier(place)}
        self._reflectors: dict[str, subprocess.Popen[str]] = {}
        for version in self._trees:
            command = self._program(
                version, "medusa.commands.main", "reflector", "--port", "0", "--accounts", str(accounts)
            )
            self._reflectors[version] = subprocess.Popen(
                command, env=self._environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
        self._urls = {version: self._listening(version) for version in self._trees}

    def session(self, mlogin: str, reflector: str, agent: str, *more: str) -> tuple[int, str, str]:
        """A command in a session of programs of these versions: its status, its output, and what mlogin says."""
        options = ["--launcher", "manual", "-a", "alice", "-k", str(self._key_file), "-c", "echo $((6 * 7)); exit 7"]
        options += ["--reflector", self._urls[reflector], *more]
        with launched(self._program(mlogin, "medusa.commands.mlogin", *options), self._environ) as client:
            found = re.search("MEDUSA_SIGNED_URL='([^']+)'", client.logged("MEDUSA_SIGNED_URL='[^']+'"))
            assert found is not None
            archive = self._trees[agent] / "medusa/data/agent.sh"
            environ = {**self._environ, "MEDUSA_SIGNED_URL": found[1]}
            subprocess.run(["sh", archive], env=environ, capture_output=True, timeout=PATIENCE, check=True)
            assert client.process.stdout is not None
            output = client.process.stdout.read().decode()
            return client.process.wait(PATIENCE), output, client.logged(r"mlogin: (session complete|the agent is .*)\n")

    def close(self) -> None:
        for process in self._reflectors.values():
            process.kill()
            process.communicate()

    def _program(self, version: str, module: str, *arguments: str) -> list[str]:
        start = f"import sys; sys.path.insert(0, {str(self._trees[version])!r}); from {module} import main"
        return [sys.executable, "-c", start + "; sys.exit(main())", *arguments]

    def _listening(self, version: str) -> str:
        output = self._reflectors[version].stdout
        assert output is not None
        return output.readline().split()[1]


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Versions]:
    versions = Versions(tmp_path_factory.mktemp("versions"))
    yield versions
    versions.close()


@pytest.mark.parametrize(("mlogin", "reflector", "agent"), [row for row in ROWS if "old" in row])
def test_a_session_of_mixed_versions(versions: Versions, mlogin: str, reflector: str, agent: str) -> None:
    in_terminal = ["-t"] if (mlogin, agent) == ("new", "old") else []
    status, output, _ = versions.session(mlogin, reflector, agent, *in_terminal)
    assert status == 7
    assert output.split() == ["42"]


def test_an_earlier_agent_has_no_pipes(versions: Versions) -> None:
    status, output, said = versions.session("new", "new", "old")
    assert (status, output) == (255, "")
    assert "mlogin: the agent is too old for pipes (part 2); use -t for a terminal\n" in said


def test_the_table_has_every_mixture() -> None:
    assert len(set(ROWS)) == 7
