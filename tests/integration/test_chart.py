"""The chart in deploy/helm, rendered by Helm's engine: valid objects, options that a reflector takes, refusals."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

import medusa
from medusa.commands.reflector.command import config_of, make_parser
from medusa.reflector.config import Timeouts, verify
from tests.chartcases import CASES, HOST, PLAIN, REFUSED, SITE
from tests.charts import CHART, NOTES, Rendered, render
from tests.kube.rules import check
from tests.proxies import DEPLOY
from tests.reflectors import new_id, running
from tests.signing import Key, attach_path, signed_request
from tests.waiting import wait_until

OWN = {"accounts", "admins", "advertise", "bind-ip", "directory", "drain-timeout", "front-door-only", "log-format"}
OWN |= {"metrics-from", "port", "public-host", "site-secret-file", "tls-cert", "tls-key", "trusted-network"}
OWN |= {"trusted-proxy", "workers"}
"""The options that the chart sets from values of their own."""

NOT_IN_A_POD = {"check", "config", "help", "lifeline", "raw-port"}


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    """What CASES were rendered to, by their names, and as "" a list of what was said of REFUSED."""
    found = render([*CASES.values(), *(values for values, _ in REFUSED)])
    return {**dict(zip(CASES, found, strict=False)), "": found[len(CASES) :]}


@pytest.fixture(params=CASES)
def chart(request: pytest.FixtureRequest, results: dict[str, Any]) -> Rendered:
    """The objects of one case."""
    assert isinstance(results[request.param], dict), results[request.param]
    return results[request.param]  # type: ignore[no-any-return]


def only(chart: Rendered, kind: str) -> dict[str, Any]:
    found = [body for name, body in chart.items() if name.startswith(kind + "/")]
    assert len(found) == 1
    return found[0]


def pod(chart: Rendered) -> dict[str, Any]:
    return only(chart, "Deployment")["spec"]["template"]  # type: ignore[no-any-return]


def container(chart: Rendered) -> dict[str, Any]:
    return pod(chart)["spec"]["containers"][0]  # type: ignore[no-any-return]


def test_a_cluster_takes_the_objects(chart: Rendered) -> None:
    for name, body in chart.items():
        if name != NOTES and not body["apiVersion"].startswith("monitoring.coreos.com/"):
            check(body["kind"], body["apiVersion"], body)


def test_the_reflector_takes_the_options(chart: Rendered, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = container(chart)
    if any(variable["name"] == "MEDUSA_DIRECTORY" for variable in spec["env"]):
        monkeypatch.setenv("MEDUSA_DIRECTORY", "redis://redis.example")
    options = make_parser().parse_args([word.replace("$(POD_IP)", "fd00::7") for word in spec["args"]])
    verify(config_of(options, Timeouts()))
    assert options.port == spec["ports"][0]["containerPort"]
    assert pod(chart)["spec"]["terminationGracePeriodSeconds"] >= options.drain_timeout + 20
    scheme = "HTTPS" if options.tls_cert else "HTTP"
    probes = {name: spec[name]["httpGet"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert {probe["scheme"] for probe in probes.values()} == {scheme}
    assert [probe["path"] for probe in probes.values()] == ["/healthz", "/healthz", "/readyz"]


def test_numbers_and_flags_of_settings(results: dict[str, Any]) -> None:
    args = container(results["site"])["args"]
    assert {"--max-held=268435456", "--wait-timeout=0.5", "--no-status", "--workers=4"} <= set(args)
    assert not any("legacy" in word for word in args)


def test_a_pod_has_no_rights(chart: Rendered) -> None:
    """The rules of the Pod Security Standard `restricted`, and a root that is read-only."""
    spec, own = pod(chart)["spec"], container(chart)["securityContext"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert own == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert spec["automountServiceAccountToken"] is False
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    user, group = (spec["securityContext"][name] for name in ("runAsUser", "runAsGroup"))
    assert f"USER {user}:{group}\n" in dockerfile
    assert f"EXPOSE {container(chart)['ports'][0]['containerPort']}\n" in dockerfile


def test_all_selectors_find_the_pods(chart: Rendered) -> None:
    labels = pod(chart)["metadata"]["labels"].items()
    assert only(chart, "Service")["spec"]["selector"].items() <= labels
    for body in chart.values():
        selector = body.get("spec", {}).get("selector" if body.get("kind") != "NetworkPolicy" else "podSelector", {})
        assert selector.get("matchLabels", {}).items() <= labels


def test_secrets_are_there_or_named_as_existing(chart: Rendered) -> None:
    spec = pod(chart)["spec"]
    used = {volume["secret"]["secretName"]: volume["secret"] for volume in spec["volumes"] if "secret" in volume}
    variables = [
        v["valueFrom"]["secretKeyRef"] for v in container(chart)["env"] if "secretKeyRef" in v.get("valueFrom", {})
    ]
    for name, keys in [
        *((name, [item["key"] for item in secret.get("items", [])]) for name, secret in used.items()),
        *((reference["name"], [reference["key"]]) for reference in variables),
    ]:
        if name in ("keys", "redis", "site", "cert", "medusa-redis"):
            assert f"Secret/{name}" not in chart
        else:
            assert set(keys) <= set(chart[f"Secret/{name}"]["data"])
    mounts = {mount["name"] for mount in container(chart)["volumeMounts"]}
    assert mounts == {volume["name"] for volume in spec["volumes"]}
    assert "word" not in json.dumps([body for name, body in chart.items() if not name.startswith("Secret/")])


def written(chart: Rendered, folder: Path) -> None:
    """Writes the Secret of accounts to `folder`, as a volume shows it."""
    volume = next(volume for volume in pod(chart)["spec"]["volumes"] if volume["name"] == "accounts")["secret"]
    data = chart[f"Secret/{volume['secretName']}"]["data"]
    for item in volume["items"]:
        path = folder / item["path"]
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(data[item["key"]]))
        path.chmod(0o440)


def test_a_session_in_a_reflector_with_these_options(tmp_path: Path, key: Key) -> None:
    line = key.line.decode()
    accounts = {"alice": line, "alice/ci": line, "b+b@x": line}
    (chart,) = render([{**PLAIN, "accounts": accounts, "publicHosts": [HOST]}])
    assert isinstance(chart, dict), chart
    written(chart, tmp_path / "accounts")
    found = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert found == ["accounts/alice", "accounts/alice.users/ci", "accounts/b+b@x"]
    args = [word.replace("/etc/medusa", str(tmp_path)) for word in container(chart)["args"]]
    with running(*args, "--port=0", "--bind-ip=127.0.0.1", "--drain-timeout=0.1", check=False) as reflector:
        for path in ("/healthz", "/readyz", "/agent.sh"):
            assert reflector.get(path).status == 200
        for path in ("/status", "/metrics", "/attach/x/master"):
            assert reflector.get(path).status == 404, "also for a sidecar, which comes from loopback"
        request = signed_request(key, "alice", attach_path("alice", new_id(), "master"), HOST)
        with reflector.enter(request):
            wait_until(lambda: reflector.logged("attached", login="alice"))


def test_several_replicas(results: dict[str, Any]) -> None:
    site = results["site"]
    assert {name for name in site if name.startswith("Pod")} == {"PodDisruptionBudget/demo-medusa"}
    assert {"--advertise=$(POD_IP)", "--site-secret-file=/etc/medusa/site/site-secret"} <= set(container(site)["args"])
    assert base64.b64decode(site["Secret/demo-medusa"]["data"]["redis-url"]) == SITE["redis"]["url"].encode()
    assert len(base64.b64decode(site["Secret/demo-medusa"]["data"]["site-secret"])) == 64
    assert not any(name.startswith("PodDisruptionBudget") for name in results["plain"])


def test_an_ingress_keeps_websockets_open(results: dict[str, Any]) -> None:
    ingress = only(results["site"], "Ingress")
    prefix = "nginx.ingress.kubernetes.io/proxy-"
    values = {name.removeprefix(prefix): value for name, value in ingress["metadata"]["annotations"].items()}
    assert values["read-timeout"] == values["send-timeout"] == "3600"
    assert (values["buffering"], values["http-version"]) == ("off", "1.1")
    assert f"--public-host={HOST}" in container(results["site"])["args"]
    annotations = only(results["existing"], "Ingress")["metadata"]["annotations"]
    assert annotations["traefik.ingress.kubernetes.io/router.entrypoints"] == "web"
    assert annotations["own"] == "x"
    assert not any(name.startswith("Ingress/") for name in results["plain"])


def test_a_network_policy(results: dict[str, Any]) -> None:
    spec = only(results["site"], "NetworkPolicy")["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert len(spec["ingress"][0]["from"]) == 3, "the replicas, the Ingress and Prometheus"
    assert [port["port"] for rule in spec["egress"] for port in rule["ports"]] == [53, 53, "http", 6379]
    spec = only(results["open"], "NetworkPolicy")["spec"]
    assert (spec["policyTypes"], spec["ingress"]) == (["Ingress"], [{"ports": [{"port": "http", "protocol": "TCP"}]}])


def test_monitoring(results: dict[str, Any]) -> None:
    site = results["site"]
    endpoint = only(site, "ServiceMonitor")["spec"]["endpoints"][0]
    assert endpoint["port"] == only(site, "Service")["spec"]["ports"][0]["name"]
    assert (endpoint["path"], endpoint["scheme"]) == ("/metrics", "http")
    assert "--metrics-from=10.0.0.0/8,fd00::/8" in container(site)["args"]
    assert only(site, "PrometheusRule")["spec"] == yaml.safe_load((DEPLOY / "prometheus-rules.yml").read_text())
    dashboard = json.loads((DEPLOY / "grafana-dashboard.json").read_text())
    assert json.loads(only(site, "ConfigMap")["data"]["medusa.json"]) == dashboard


@pytest.mark.parametrize("number", range(len(REFUSED)), ids=lambda number: REFUSED[number][1])
def test_what_the_reflector_would_refuse_is_refused_before(results: dict[str, Any], number: int) -> None:
    said = results[""][number]
    assert isinstance(said, str)
    assert REFUSED[number][1] in said
    assert "secret@" not in said
    assert "'secret'" not in said


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("site", f"mlogin --launcher manual --reflector https://{HOST} -a LOGIN\n"),
        ("plain", "kubectl --namespace jobs port-forward service/demo-medusa 8381:8381"),
        ("tls", "https://demo-medusa.jobs.svc:443"),
        ("open", "WARNING: trustedNetwork"),
        ("existing", "WARNING: ingress.tls"),
    ],
)
def test_the_notes(results: dict[str, Any], case: str, words: str) -> None:
    assert words in results[case][NOTES]["text"]


def test_each_option_can_be_given() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    known = {word[2:] for action in make_parser()._actions for word in action.option_strings if word.startswith("--")}
    allowed = set(schema["properties"]["settings"]["propertyNames"]["enum"])
    assert known - allowed == OWN | NOT_IN_A_POD
    assert allowed <= known


def test_each_value_has_a_default_and_a_rule() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())

    def compare(place: str, value: Any, rule: dict[str, Any]) -> None:
        if rule.get("additionalProperties") is False and "properties" in rule:
            assert set(value) == set(rule["properties"]) - {"global"}, place
            for name, more in value.items():
                compare(f"{place}.{name}", more, rule["properties"][name])

    compare("", values, schema)


def test_the_charts_version_is_that_of_the_sources() -> None:
    about = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert about["appVersion"] == about["version"] == medusa.__version__
