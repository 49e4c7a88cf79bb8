from __future__ import annotations

import sys
from pathlib import Path

import pytest

from medusa.client.launchers.base import JobRequest, Settings
from medusa.client.launchers.kubernetes.cluster import access
from medusa.client.launchers.kubernetes.launcher import KubernetesLauncher
from medusa.client.ledger import Ledger
from medusa.client.outcome import Failure
from tests.kube.stand_in import cluster


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (Settings(object="x", arguments=("--image", "i")), "an OBJECT means nothing to the launcher `kubernetes`"),
        (Settings(job="x", arguments=("--image", "i", "--time", "1h")), "with --job, only --image, --namespace"),
        (Settings(), "the launcher `kubernetes`: the following arguments are required: --image"),
        (Settings(arguments=("--image", "i"), archive="/nowhere"), "no agent archive at /nowhere"),
        (Settings(arguments=("--image", "i", "--kubeconfig", "/nowhere")), "the launcher `kubernetes`: .*nowhere"),
    ],
)
def test_unusable_settings_are_refused(settings: Settings, why: str) -> None:
    with pytest.raises(Failure, match=why):
        KubernetesLauncher(settings, Ledger())


def test_the_official_client_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kubernetes", None)
    with pytest.raises(Failure) as caught:
        KubernetesLauncher(Settings(arguments=("--image", "i", "--overrides", "pod.yaml")), Ledger())
    assert str(caught.value) == access.NOT_INSTALLED


def test_mlogins_own_reflector_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with cluster() as kube:
        path = kube.write_kubeconfig(tmp_path / "config")
        settings = Settings(arguments=("--image", "i", "--kubeconfig", str(path)))
        with KubernetesLauncher(settings, Ledger()) as launcher:
            assert launcher.describe().startswith("Kubernetes job medusa-")
            with pytest.raises(Failure, match="name one by --reflector"):
                launcher.submit(JobRequest(session_url=lambda lifetime: "http://r", embedded=1))
        assert kube.asked("create", "secrets") == 0
