"""`mlogin --launcher kubernetes` with only the rights in docs/launchers.md, and its objects as kubectl sees them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from medusa.client.archive import find_archive
from medusa.client.timeouts import KubernetesTimeouts
from tests.kube.place import EAGER, Place, documented_yaml, job_name, place
from tests.kube.stand_in import containers
from tests.terminals import ROOT, environment, mlogin, run_alone
from tests.waiting import PATIENCE, wait_until

pytestmark = containers

NO_NODE = "0/3 nodes are available: 3 Insufficient cpu."
needs_kubectl = pytest.mark.skipif(not shutil.which("kubectl"), reason="needs kubectl (kubernetes-client)")


def documented_rules(name: str) -> list[dict[str, Any]]:
    """The rules of a Role in docs/launchers.md."""
    roles = [found for block in documented_yaml() if (found := yaml.safe_load(block)).get("kind") == "Role"]
    (role,) = [role for role in roles if role["metadata"]["name"] == name]
    rules: list[dict[str, Any]] = role["rules"]
    return rules


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("kube"), tls=True) as found:  # without TLS, kubectl sends no token
        found.kube.add_user("minnie", documented_rules("medusa"))
        found.kube.add_user("daisy", documented_rules("medusa-beside"))
        yield found


@pytest.fixture
def here(shared: Place) -> Iterator[Place]:
    """mlogin acts for a user who has only the documented rights."""
    shared.kube.knobs.reset()
    shared.kube.write_kubeconfig(shared.kubeconfig, "minnie")
    yield shared
    shared.kube.knobs.reset()
    shared.assert_clean()


def test_the_documented_role_is_enough(here: Place, home: Path) -> None:
    run = here.run(home, options=("-c", "exit 7"))
    assert (run.returncode, "forbidden" in run.stderr) == (7, False), run.stderr


def test_another_documented_role_is_enough_for_an_ephemeral_container(here: Place, home: Path) -> None:
    here.kube.start_pod("theirs-1")
    here.kube.write_kubeconfig(here.kubeconfig, "daisy")
    run = here.run(home, options=("--job", "theirs-1", "-c", "exit 7"))
    assert (run.returncode, "forbidden" in run.stderr) == (7, False), run.stderr
    here.kube.delete("pods", "theirs-1")


def test_the_documented_role_is_enough_for_a_log_and_a_large_archive(here: Place, home: Path, tmp_path: Path) -> None:
    (tmp_path / "big.sh").write_text("echo no agent; exit 3\n" + "# nothing\n" * 150_000)
    run = here.run(home, options=("--archive", str(tmp_path / "big.sh")))
    assert run.returncode == 255
    assert "ended with status 3 before its agent appeared\nmlogin:   no agent\n" in run.stderr
    assert len(here.kube.asked("create", "configmaps")) == 2


@pytest.mark.parametrize(
    ("verb", "resource"), [("create", "jobs.batch"), ("create", "secrets"), ("patch", "secrets"), ("get", "jobs.batch")]
)
def test_a_missing_right_is_named(here: Place, home: Path, verb: str, resource: str) -> None:
    here.kube.knobs.unschedulable = NO_NODE
    here.kube.knobs.forbidden.add((verb, resource))
    run = here.run(home)
    assert run.returncode == 255
    assert "failed before its agent appeared\n" in run.stderr
    assert re.search(f'mlogin:   {verb} {resource}: {resource} .*is forbidden: User "minnie" .*403', run.stderr)


def test_without_the_right_to_read_events_the_session_starts_all_the_same(here: Place, home: Path) -> None:
    here.kube.knobs.forbidden.add(("list", "events"))
    here.kube.knobs.pulling = True
    with here.terminal(home, options=("-c", "exit 7")) as opened:
        opened.until("job medusa-[0-9a-f]{8}: ContainerCreating [0-9]")
        here.kube.knobs.pulling = False
        assert opened.status() == 7


def test_without_the_right_to_delete_the_user_sees_what_is_left(here: Place, home: Path) -> None:
    here.kube.knobs.forbidden |= {("delete", "jobs.batch")}
    run = here.run(home, options=("-c", "exit 7"))
    assert run.returncode == 7
    name = job_name(run.stderr)
    assert re.search(f"mlogin: not removed: job {name} \\(delete jobs.batch: .*403\\)\\); remove it by: ", run.stderr)
    here.kube.delete("jobs", name)


def test_two_kubeconfigs_are_merged(here: Place, home: Path, tmp_path: Path) -> None:
    """The context in one file, its user in another."""
    whole = json.loads(here.kubeconfig.read_text())
    (tmp_path / "a").write_text(json.dumps({**whole, "users": []}))
    (tmp_path / "b").write_text(json.dumps({**whole, "contexts": [], "clusters": []}))
    words = here.arguments("-c", "exit 7")
    words = [word for word in words if word not in ("--kubeconfig", str(here.kubeconfig), "-c", "exit 7")]
    words[0:0] = ["-c", "exit 7"]
    paths = os.pathsep.join([str(tmp_path / "a"), os.path.relpath(tmp_path / "b", ROOT)])
    run = run_alone(mlogin(*words), {**environment(home), "KUBECONFIG": paths})
    assert run.returncode == 7, run.stderr


@needs_kubectl
def test_kubectl_sees_the_objects_and_deletes_them_as_mlogin_says(here: Place, home: Path, tmp_path: Path) -> None:
    """kubectl is a client of another project."""
    here.kube.knobs.unschedulable = NO_NODE
    here.kube.write_kubeconfig(tmp_path / "admin")
    quick = replace(EAGER, kubernetes=KubernetesTimeouts(close_timeout=0, guard_timeout=0))

    def kubectl(*words: str) -> str:
        environ = {**environment(home), "HOME": str(tmp_path), "KUBECONFIG": str(tmp_path / "admin")}
        done = subprocess.run(
            ["kubectl", "--cache-dir", str(tmp_path / "cache"), *words],
            capture_output=True,
            text=True,
            env=environ,
            timeout=3 * PATIENCE,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    with here.terminal(home, timeouts=quick) as opened:
        opened.until("Unschedulable")
        name = job_name(opened.screen)
        assert kubectl("get", "job", "-o", "name") == f"job.batch/{name}\n"
        labelled = ["-l", f"app.kubernetes.io/instance={name}"]
        assert kubectl("get", "pods", *labelled, "-o", "name").startswith(f"pod/{name}-")
        assert kubectl("get", "secrets", *labelled, "-o", "jsonpath={.items[*].data}").count("agent.sh") == 1
        here.kube.knobs.forbidden |= {("delete", "jobs.batch"), ("delete", "secrets")}
        opened.type(b"\x03")
        command = opened.until(r"remove it by: kubectl --kubeconfig \S+ -n research ([^\r]+)\r\n")[1].decode()
        assert opened.status() == 255
    here.kube.knobs.forbidden.clear()
    kubectl("-n", "research", *command.split())
    wait_until(lambda: not here.kube.names(), "an empty cluster")


def test_our_own_archive_fits_into_the_secret() -> None:
    assert find_archive().stat().st_size < 1_000_000
