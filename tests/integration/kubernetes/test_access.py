"""What `mlogin --launcher kubernetes` shows of missing rights, and its objects as kubectl sees them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from medusa.client.timeouts import KubernetesTimeouts
from medusa.protocol.record import replace
from tests.kube.place import EAGER, Place, job_name
from tests.kube.stand_in import containers
from tests.terminals import environment
from tests.waiting import PATIENCE, wait_until

pytestmark = containers

NO_NODE = "0/3 nodes are available: 3 Insufficient cpu."


@pytest.mark.parametrize(("verb", "resource"), [("create", "jobs.batch"), ("patch", "secrets")])
def test_a_missing_right_is_named(here: Place, home: Path, verb: str, resource: str) -> None:
    here.kube.knobs.unschedulable = NO_NODE
    here.kube.knobs.forbidden.add((verb, resource))
    run = here.run(home)
    assert run.returncode == 255
    assert "failed before its agent appeared\n" in run.stderr
    assert re.search(f'mlogin:   {verb} {resource}: {resource} is forbidden: User "medusa" .*403', run.stderr)


@pytest.mark.skipif(not shutil.which("kubectl"), reason="needs kubectl (kubernetes-client)")
def test_kubectl_sees_the_objects_and_deletes_them_as_mlogin_says(here: Place, home: Path, tmp_path: Path) -> None:
    """kubectl is a client of another project."""
    here.kube.knobs.unschedulable = NO_NODE
    here.kube.write_kubeconfig(tmp_path / "admin")
    quick = replace(EAGER, kubernetes=KubernetesTimeouts(close_timeout=0, guard_timeout=0))

    def kubectl(*words: str) -> str:
        environ = {**environment(home), "HOME": str(tmp_path), "KUBECONFIG": str(tmp_path / "admin")}
        command = ["kubectl", "--cache-dir", str(tmp_path / "cache"), *words]
        done = subprocess.run(command, capture_output=True, text=True, env=environ, timeout=3 * PATIENCE)
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
        assert opened.status() == 130
    here.kube.knobs.forbidden.clear()
    kubectl("-n", "research", *command.split())
    wait_until(lambda: not here.kube.names(), "an empty cluster")
