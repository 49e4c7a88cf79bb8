"""The recipes of docs/ci.md, the action and the component: run unchanged, up to a session in place of a failed step."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.agents import launched
from tests.reflectors import running
from tests.signing import Key, allow, write_key
from tests.terminals import MLOGIN, ROOT, environment, run_alone
from tests.waiting import PATIENCE

_DOCUMENT = (ROOT / "docs/ci.md").read_text()
GITHUB, GITLAB = re.findall(r"```yaml\n(.*?)```", _DOCUMENT, re.DOTALL)
ANY, TRUSTED = re.findall(r"```sh\n(.*?)```", _DOCUMENT, re.DOTALL)
URL = "https://medusa.example.com:8381"

# In place of `python3 -m venv DIR`, and of that environment's pip: it installs what a recipe uses, from this checkout.
_PYTHON3 = '[ "$1 $2" = "-m venv" ] && mkdir -p "$3/bin" && cp {fakes}/pip "$3/bin"'
_PIP = """printf '%s\\n' "$*" >>{log}
case $* in *broken*) exit 1 ;; esac
venv=$(dirname "$(dirname "$0")")
mkdir -p "$venv/share/medusa"
cp {root}/deploy/ci-hold.sh "$venv/share/medusa"
cp {fakes}/medusa "$venv/bin" """
_MEDUSA = 'exec {python} -m medusa "$@"'


class Runner:
    """A CI runner: a work directory whose test fails, and programs that need no network."""

    def __init__(self, place: Path, url: str) -> None:
        self.place, self.work, self.temp, self.url = place, place / "work", place / "temp", url
        self.key, self.log = place / "ci's key", place / "pip.log"
        for directory in (place / "bin", place / "fakes", self.work, self.temp):
            directory.mkdir()
        (self.work / "Makefile").write_text("test:\n\t@echo it broke; exit 1\n")
        words = {"root": ROOT, "log": self.log, "fakes": place / "fakes", "python": sys.executable}
        quoted = {name: shlex.quote(str(word)) for name, word in words.items()}
        self.program("bin/python3", _PYTHON3.format(**quoted))
        self.program("fakes/pip", _PIP.format(**quoted))
        self.program("fakes/medusa", _MEDUSA.format(**quoted))
        self.environ = {
            "PATH": f"{place}/bin:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "HOME": str(place),
            "TMPDIR": str(self.temp),
            "RUNNER_TEMP": str(self.temp),
            "GITHUB_PATH": str(place / "github_path"),
            "GITHUB_ACTION_PATH": str(ROOT),
            "CI_SERVER_FQDN": "gitlab.example.com",
            "CI_JOB_ID": "17",
            "MEDUSA_PYTHON": sys.executable,
        }

    def program(self, name: str, script: str) -> None:
        path = self.place / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def run(self, command: list[str], environ: Mapping[str, str] = {}) -> subprocess.CompletedProcess[str]:
        environ = {**self.environ, **environ}
        return subprocess.run(command, env=environ, cwd=self.work, capture_output=True, text=True, timeout=3 * PATIENCE)

    def check_failure_and_session(self, command: list[str], sessions: int = 1) -> str:
        """The step fails; users get `sessions` sessions in its place. Returns the step's log."""
        with launched(command, self.environ, cwd=self.work) as step:
            log = step.logged("to look into it: mlogin .*\n")
            found = re.search("mlogin (.*)\n", log)
            assert found is not None
            words = [*MLOGIN, *shlex.split(found.group(1)), "-t", "-c"]
            user = {**environment(self.temp), "HOME": str(self.place / "alice")}
            for _ in range(sessions):  # each session needs a URL of its own
                done = run_alone([*words, "pwd"], user)
                assert done.returncode == 0, done.stderr
                assert "it broke" in done.stdout
                assert str(self.work) in done.stdout
            done = run_alone([*words, "kill $PPID"], user)
            assert "stopped by SIGTERM" in done.stderr
            status, log = step.finish()
        assert status == 2
        assert "ignature" not in log
        return log


@pytest.fixture
def idle_runner(tmp_path: Path) -> Runner:
    """A runner whose key no reflector knows."""
    runner = Runner(tmp_path, "http://127.0.0.1:9")
    runner.key.write_bytes(Key("ed25519").pem())
    return runner


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[Runner]:
    accounts, ci, alice = tmp_path / "accounts", Key("ed25519"), Key("ed25519")
    accounts.mkdir()
    allow(accounts, "alice", alice)
    allow(accounts, "alice", ci, user="ci")
    (tmp_path / "alice/.ssh").mkdir(parents=True)
    write_key(tmp_path / "alice/.ssh/id_ed25519", alice)
    with running("--accounts", str(accounts)) as reflector:
        runner = Runner(tmp_path, reflector.url)
        runner.key.write_bytes(ci.pem())
        runner.key.chmod(0o644)
        yield runner


def action(runner: Runner, **changed: str) -> list[list[str]]:
    """The commands of the steps that GitHub's runner would run for the recipe's `uses`, with some inputs changed."""
    given = yaml.safe_load(GITHUB)["jobs"]["test"]["steps"][1]["with"]
    assert given["reflector"] == URL
    given |= {"key": runner.key.read_text(), "reflector": runner.url, **changed}
    described = yaml.safe_load((ROOT / "action.yml").read_text())
    inputs = {name: given.get(name, about.get("default")) for name, about in described["inputs"].items()}
    assert set(given) <= set(inputs)
    commands = []
    for step in described["runs"]["steps"]:
        if step.get("if", "").strip("${} ") == "inputs.run != ''" and not inputs["run"]:
            continue
        values = {name: inputs[value.strip("${} ").removeprefix("inputs.")] for name, value in step["env"].items()}
        assignments = [f"{name}={value}" for name, value in values.items()]
        commands.append(["env", *assignments, "bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]])
    return commands


def with_path(runner: Runner) -> Runner:
    """The runner as later steps see it: with the directories that a step has added to PATH."""
    added = Path(runner.environ["GITHUB_PATH"]).read_text().split()
    runner.environ["PATH"] = ":".join([*added, runner.environ["PATH"]])
    return runner


def component(runner: Runner, **changed: str) -> tuple[str, str]:
    """The script of the recipe's job as GitLab would run it, with some inputs changed, and the job's after_script."""
    recipe: dict[str, Any] = yaml.safe_load(GITLAB)
    given = recipe["include"][0]["inputs"]
    assert given["reflector"] == URL
    given |= {"reflector": runner.url, **changed}
    spec, template = (ROOT / "templates/hold.yml").read_text().split("\n---\n")
    described = yaml.safe_load(spec)["spec"]["inputs"]
    inputs = {name: given.get(name, about.get("default")) for name, about in described.items()}
    assert set(given) <= set(inputs)
    assert None not in inputs.values()
    filled = re.sub(r"\$\[\[ inputs\.(\w+) \]\]", lambda match: str(inputs[match[1]]), template)
    assert "$[[" not in filled
    job = {**yaml.safe_load(filled)[recipe["test"]["extends"]], **recipe["test"]}
    return "\n".join(["set -e", *job["before_script"], *job["script"]]), "\n".join(job["after_script"])


def test_the_action(runner: Runner) -> None:
    prepare, test = action(runner)
    done = runner.run(prepare)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert runner.log.read_text() == f"install --quiet {ROOT}\n"
    assert (runner.temp / "medusa-hold/key").stat().st_mode & 0o777 == 0o600
    log = with_path(runner).check_failure_and_session(test)
    assert "holding for 1800 s" in log


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"key": ""}, "there is no key (is the secret defined, and may this job read it?)"),
        ({"key": "no key"}, "key"),
        ({"reflector": ""}, "which reflector?"),
        ({"account": "a b"}, "'a b' is no login"),
    ],
)
def test_without_a_hold_the_action_runs_the_commands_alone(
    idle_runner: Runner, changed: dict[str, str], why: str
) -> None:
    prepare, test = action(idle_runner, **changed, run='echo "[$COMMANDS]"; exit 3')
    done = idle_runner.run(prepare, {"GITHUB_ACTIONS": "true"})
    assert done.returncode == 0, done.stderr
    assert re.fullmatch("::warning title=Medusa::no hold: .*\n", done.stdout)
    assert why in done.stdout
    done = with_path(idle_runner).run(test)
    assert (done.returncode, done.stdout) == (3, "[]\n")


def test_the_action_without_commands_prepares_later_steps(idle_runner: Runner) -> None:
    (prepare,) = action(idle_runner, run="", account="al'ice $HOME", user="")
    assert "is no login" in idle_runner.run(prepare).stderr
    (prepare,) = action(idle_runner, run="", user="")
    for _ in range(2):
        done = idle_runner.run(prepare)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert len(idle_runner.log.read_text().splitlines()) == 1, "installed once"
    done = with_path(idle_runner).run(["medusa-hold", "printf", "[%s]", "a b", "$HOME"])
    assert (done.returncode, done.stdout, done.stderr) == (0, "[a b][$HOME]", "")


def test_the_component(runner: Runner) -> None:
    runner.environ["MEDUSA_CI_KEY"] = str(runner.key)
    script, after = component(runner)
    runner.check_failure_and_session(["sh", "-c", script], sessions=0)
    assert runner.log.read_text() == "install --quiet git+https://gitlab.example.com/OWNER/medusa@v1\n"
    assert runner.run(["sh", "-c", after]).returncode == 0
    assert list(runner.temp.iterdir()) == []


@pytest.mark.parametrize("changed", [{"package": "broken"}, {}])
def test_without_a_hold_the_component_runs_the_script_alone(idle_runner: Runner, changed: dict[str, str]) -> None:
    script, _ = component(idle_runner, **changed)
    done = idle_runner.run(["sh", "-c", script])
    assert (done.returncode, done.stdout) == (2, "it broke\n")
    assert "medusa: no hold: " in done.stderr


def test_any_other_ci(runner: Runner) -> None:
    runner.environ["KEY"] = str(runner.key)
    script = ANY.replace(URL, runner.url).replace(" 1800\n", " 0.1\n")
    done = runner.run(["sh", "-ec", f"{script}\n~/medusa-hold make test"])
    assert (done.returncode, done.stdout) == (2, "it broke\n")
    assert f"to look into it: mlogin --reflector {runner.url} --session " in done.stderr
    assert "git+https://" in runner.log.read_text()


def test_a_trusted_network(idle_runner: Runner) -> None:
    idle_runner.program("bin/srun", 'exec "$@"')
    (idle_runner.work / "simulate").symlink_to("/bin/false")
    with running() as reflector:
        script = "export MEDUSA_HOLD=0.1\n" + TRUSTED.replace("http://login1:8381", reflector.url)
        done = idle_runner.run(["sh", "-ec", script])
    assert done.returncode == 1
    assert f"to look into it: mlogin --reflector {reflector.url} --session " in done.stderr


def check_schema(name: str, path: Path) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{name}", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3 * PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_files_have_the_forms_that_github_and_gitlab_publish(tmp_path: Path) -> None:
    workflow, pipeline = tmp_path / "workflow.yml", tmp_path / "pipeline.json"
    workflow.write_text("on: push\n" + GITHUB)
    template = yaml.safe_load((ROOT / "templates/hold.yml").read_text().split("\n---\n")[1])
    pipeline.write_text(json.dumps({**template, **yaml.safe_load(GITLAB)}))
    check_schema("github-actions", ROOT / "action.yml")
    check_schema("github-workflows", workflow)
    check_schema("gitlab-ci", pipeline)


def test_no_recipe_installs_by_a_name_that_anybody_can_register() -> None:
    files = [ROOT / "README.md", ROOT / "action.yml", *(ROOT / "docs").glob("*.md"), *(ROOT / "templates").iterdir()]
    found = [path.name for path in files if re.search(r"\bpipx? install [^`\n]*medusa-session", path.read_text())]
    assert found == []
