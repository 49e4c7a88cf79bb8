"""Requests to the stand-in for a cluster, or to a server with a single answer."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from kubernetes.config import ConfigException, incluster_config

from medusa.client.launchers.kubernetes.cluster import access
from medusa.client.launchers.kubernetes.cluster.access import Access, find_access
from medusa.client.launchers.kubernetes.cluster.api import KubeClient
from medusa.client.launchers.kubernetes.cluster.errors import KubeError
from medusa.client.outcome import Failure
from medusa.client.timeouts import KubernetesTimeouts
from tests.kube.access import EVERYTHING
from tests.kube.objects import NAMESPACE
from tests.kube.stand_in import CERTIFIED, Cluster, cluster
from tests.links import CERTIFICATE
from tests.ports import free_port
from tests.servers import ScriptedServer
from tests.waiting import MS, PATIENCE

POD = "medusa-1"


@pytest.fixture
def answer_timeout() -> float:
    return PATIENCE


@pytest.fixture
def kube(tmp_path: Path, answer_timeout: float) -> Iterator[tuple[Cluster, KubeClient]]:
    with cluster() as made:
        access = find_access(str(made.write_kubeconfig(tmp_path / "config")), None, None)
        client = KubeClient(access, tmp_path, KubernetesTimeouts(answer_timeout=answer_timeout))
        yield made, client
        client.close()


def config(path: Path, url: str) -> Path:
    """A kubeconfig with one context without a namespace, and one with it."""
    contexts = [{"name": "bare", "context": {"cluster": "c", "user": "u"}}]
    contexts.append({"name": "named", "context": {"cluster": "c", "user": "u", "namespace": "there"}})
    clusters = [{"name": "c", "cluster": {"server": url}}]
    whole = {"clusters": clusters, "users": [{"name": "u", "user": {"token": "t"}}], "contexts": contexts}
    path.write_text(json.dumps({**whole, "current-context": "bare"}))
    return path


def test_access(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(config(tmp_path / "config", "http://127.0.0.1:1"))
    assert find_access(path, None, None) == Access(path, None, "default")
    assert find_access(path, "named", None) == Access(path, "named", "there")
    assert find_access(path, "named", "mine") == Access(path, "named", "mine")
    monkeypatch.setenv("KUBECONFIG", f"{path}:/nowhere")
    assert find_access(None, None, None) == Access(f"{path}:/nowhere", None, "default")
    monkeypatch.chdir(tmp_path)
    assert find_access("config", None, None).kubeconfig == path


def test_access_in_a_home_directory_and_in_a_pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(access, "IN_POD", tmp_path / "pod")
    with pytest.raises(Failure, match="the launcher `kubernetes`: "):
        find_access(None, None, None)
    (tmp_path / "pod").mkdir()
    (tmp_path / "pod" / "token").write_text("t")
    (tmp_path / "pod" / "namespace").write_text("own\n")
    assert find_access(None, None, None) == Access(None, None, "own")
    (tmp_path / ".kube").mkdir()
    path = config(tmp_path / ".kube" / "config", "http://127.0.0.1:1")
    assert find_access(None, None, None) == Access(str(path), None, "default")


@pytest.mark.parametrize("text", ["", "[]", "{", "clusters: 3", "contexts: [{name: a}]\ncurrent-context: a\n"])
def test_a_file_that_is_no_kubeconfig(tmp_path: Path, text: str) -> None:
    (tmp_path / "config").write_text(text)
    with pytest.raises(Failure, match="the launcher `kubernetes`: "):
        find_access(str(tmp_path / "config"), None, None)


def test_an_unknown_context(tmp_path: Path) -> None:
    path = config(tmp_path / "config", "http://127.0.0.1:1")
    with pytest.raises(Failure, match="config has no context none"):
        find_access(str(path), "none", None)


def test_the_kubectl_command() -> None:
    assert Access("/k", "c", "n").kubectl() == "kubectl --kubeconfig /k --context c -n n"
    assert Access("/a:/b", None, "n").kubectl() == "kubectl -n n"


def test_objects(kube: tuple[Cluster, KubeClient]) -> None:
    made, client = kube
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "data": {"k": "dg=="}}
    client.create("secret", secret)
    client.patch("secret", "a", {"data": {"l": "dw=="}})
    assert client.get("secret", "a")["data"] == {"k": "dg==", "l": "dw=="}
    with pytest.raises(KubeError) as caught:
        client.create("secret", secret)
    assert (caught.value.status, caught.value.temporary) == (409, False)
    client.delete("secret", "a")
    with pytest.raises(KubeError) as caught:
        client.get("secret", "a")
    assert str(caught.value) == 'get secrets: secrets "a" not found (404)'
    assert made.names() == []


def test_two_kubeconfigs_are_merged(kube: tuple[Cluster, KubeClient], tmp_path: Path) -> None:
    """The context in one file, its user in another."""
    whole = json.loads((tmp_path / "config").read_text())
    (tmp_path / "a").write_text(json.dumps({**whole, "users": []}))
    (tmp_path / "b").write_text(json.dumps({**whole, "contexts": [], "clusters": []}))
    client = KubeClient(find_access(f"{tmp_path}/a:{tmp_path}/b", None, None), tmp_path)
    assert client.pods("a=b") == []
    client.close()


def test_an_expired_token_is_read_again(kube: tuple[Cluster, KubeClient], tmp_path: Path) -> None:
    made, client = kube
    assert client.pods("a=b") == []
    made.add_user("jane", EVERYTHING)
    made.write_kubeconfig(tmp_path / "config")
    assert client.pods("a=b") == []
    made.write_kubeconfig(tmp_path / "config", token="old")
    client.close()
    with pytest.raises(KubeError) as caught:
        client.pods("a=b")
    assert str(caught.value) == "list pods: Unauthorized (401)"


@pytest.mark.parametrize(
    ("how", "answer_timeout"), [("reset", PATIENCE), ("unavailable", PATIENCE), ("silent", 300 * MS)]
)
def test_a_cluster_that_does_not_answer(kube: tuple[Cluster, KubeClient], how: str) -> None:
    made, client = kube
    made.knobs.away = how
    with pytest.raises(KubeError) as caught:
        client.pods("a=b")
    assert caught.value.temporary
    assert "object at" not in str(caught.value)
    made.knobs.away = None
    assert client.pods("a=b") == []


def test_a_refused_connection(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    client = KubeClient(find_access(str(config(tmp_path / "config", url)), None, None), tmp_path)
    with pytest.raises(KubeError) as caught:
        client.pods("a=b")
    assert str(caught.value).startswith(f"{url} does not answer: ")
    assert str(caught.value).endswith("Connection refused")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"200 OK\r\nContent-Length: 2\r\n\r\nhi", "answered, but not as the API of Kubernetes"),
        (b"502 Bad\x1bGateway\r\nContent-Length: 2\r\n\r\nhi", "list pods: Bad\\x1bGateway (502)"),
        (b"403 Forbidden\r\nContent-Length: 2\r\n\r\n[]", "list pods: Forbidden (403)"),
        (b"302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", "list pods: Found (302)"),
    ],
)
def test_a_server_that_is_not_a_cluster(tmp_path: Path, answer: bytes, words: str) -> None:
    def serve(sock: socket.socket) -> None:
        sock.recv(65536)
        sock.sendall(b"HTTP/1.1 " + answer)

    with ScriptedServer(serve) as server:
        path = config(tmp_path / "config", f"http://127.0.0.1:{server.port}")
        client = KubeClient(find_access(str(path), None, None), tmp_path)
        with pytest.raises(KubeError) as caught:
            client.pods("a=b")
        client.close()
    assert words in str(caught.value)


def test_keys_of_the_kubeconfig_are_written_to_the_private_directory(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir()
    with cluster(tls=True) as made:
        made.add_user(CERTIFIED, EVERYTHING)
        path = made.write_kubeconfig(tmp_path / "config", CERTIFIED)
        client = KubeClient(find_access(str(path), None, None), private)
        assert client.pods("a=b") == []
        assert made.users_asking() == {CERTIFIED}
        assert len(list(private.iterdir())) == 3
        assert client.access.namespace == NAMESPACE
        client.close()


def test_a_helper_program_gives_the_token(tmp_path: Path) -> None:
    with cluster() as made:
        credential = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential"}
        token = made.add_user("jane", EVERYTHING)
        (tmp_path / "answer").write_text(json.dumps({**credential, "status": {"token": token}}))
        path = made.write_kubeconfig(tmp_path / "config")
        whole = json.loads(path.read_text())
        helper = {"apiVersion": credential["apiVersion"], "command": "cat", "args": [str(tmp_path / "answer")]}
        whole["users"][0]["user"] = {"exec": {**helper, "interactiveMode": "Never"}}
        path.write_text(json.dumps(whole))
        client = KubeClient(find_access(str(path), None, None), tmp_path)
        assert client.pods("a=b") == []
        (tmp_path / "answer").unlink()
        client.close()
        with pytest.raises(KubeError):
            client.pods("a=b")


def test_the_credentials_of_a_pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with cluster(tls=True) as made:
        (tmp_path / "token").write_text(made.add_user("pod", EVERYTHING))
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(urlsplit(made.url).port))
        loader = incluster_config.InClusterConfigLoader
        defaults = {"token_filename": str(tmp_path / "token"), "cert_filename": str(CERTIFICATE)}
        monkeypatch.setattr(incluster_config, "InClusterConfigLoader", lambda **given: loader(**{**given, **defaults}))
        client = KubeClient(Access(None, None, NAMESPACE), tmp_path)
        assert client.pods("a=b") == []
        assert made.users_asking() == {"pod"}
        client.close()


def test_a_helper_program_cannot_use_the_terminal_of_a_session(
    kube: tuple[Cluster, KubeClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, client = kube
    given = []

    def load(*_: object, **__: object) -> None:
        given.append((sys.stdin.name, sys.stderr.name))
        raise ConfigException("no token")

    monkeypatch.setattr("kubernetes.config.load_kube_config", load)
    before = (sys.stdin, sys.stderr)
    client.interactive = False
    with pytest.raises(KubeError):
        client.get("pod", POD)
    assert set(given) == {(os.devnull, os.devnull)}
    assert (sys.stdin, sys.stderr) == before
