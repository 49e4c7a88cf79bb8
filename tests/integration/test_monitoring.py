"""The rules for Prometheus and the dashboard for Grafana in deploy/: their expressions, names and alerts."""

from __future__ import annotations

import json
import re
import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.proxies import DEPLOY, tool
from tests.reflectors import ROOT, running
from tests.waiting import PATIENCE

RULES = DEPLOY / "prometheus-rules.yml"
DASHBOARD = json.loads((DEPLOY / "grafana-dashboard.json").read_text())
GROUPS: list[dict[str, Any]] = yaml.safe_load(RULES.read_text())["groups"]
RECORDS = [rule for group in GROUPS for rule in group["rules"] if "record" in rule]
ALERTS = [rule for group in GROUPS for rule in group["rules"] if "alert" in rule]

SITE = 'job="medusa", instance="a:8381", pod="a", namespace="%s"'
HEALTHY = {
    'up{SITE}': "1x90",
    'medusa_sessions{SITE, state="linked"}': "100x90",
    'medusa_sessions{SITE, state="waiting"}': "5x90",
    'medusa_sessions_ended_total{SITE, outcome="completed"}': "0+2x90",
    'medusa_sessions_ended_total{SITE, outcome="lost"}': "0+0.1x90",
    'medusa_sessions_ended_total{SITE, outcome="expired"}': "0+0.1x90",
    'medusa_sessions_ended_total{SITE, outcome="lonely"}': "0+0.1x90",
    'medusa_refusals_total{SITE, status="404"}': "0+60x90",
    'medusa_refusals_total{SITE, status="503"}': "0+1x90",
    'medusa_refusals_total{SITE, status="403"}': "0+1x90",
    'medusa_connections_dropped_total{SITE, reason="all"}': "0x90",
    'medusa_held_refusals_total{SITE}': "0x90",
    'medusa_directory_errors_total{SITE, operation="claim"}': "0x40 1x50",
    'medusa_directory_seconds_bucket{SITE, operation="claim", le="0.01"}': "0+60x90",
    'medusa_directory_seconds_bucket{SITE, operation="claim", le="3.0"}': "0+60x90",
    'medusa_directory_seconds_bucket{SITE, operation="claim", le="+Inf"}': "0+60x90",
    'medusa_event_loop_lag_seconds_bucket{SITE, le="0.01"}': "0+60x90",
    'medusa_event_loop_lag_seconds_bucket{SITE, le="1.0"}': "0+60x90",
    'medusa_event_loop_lag_seconds_bucket{SITE, le="+Inf"}': "0+60x90",
}  # fmt: skip
"""Series of one reflector in which nothing is wrong: a value each minute, in promtool's notation."""

NONE_AT_ALL = "MedusaNoReflector"

TROUBLES: dict[str, dict[str, str]] = {
    "MedusaReflectorDown": {'up{SITE}': "1x40 0x50"},
    NONE_AT_ALL: dict.fromkeys(HEALTHY, ""),
    "MedusaDirectoryFails": {'medusa_directory_errors_total{SITE, operation="claim"}': "0+30x90"},
    "MedusaDirectorySlow": {'medusa_directory_seconds_bucket{SITE, operation="claim", le="0.01"}': "0+50x90"},
    "MedusaOverloaded": {'medusa_event_loop_lag_seconds_bucket{SITE, le="0.01"}': "0+50x90"},
    "MedusaManySessions": {'medusa_sessions{SITE, state="linked"}': "8001x90"},
    "MedusaRefusesUsers": {'medusa_refusals_total{SITE, status="503"}': "0+30x90"},
    "MedusaSignaturesRefused": {'medusa_refusals_total{SITE, status="403"}': "0+90x90"},
    "MedusaConnectionsDropped": {'medusa_connections_dropped_total{SITE, reason="all"}': "0+30x90"},
    "MedusaMemoryRefused": {'medusa_held_refusals_total{SITE}': "0x58 1x30"},
    "MedusaSessionsLost": {'medusa_sessions_ended_total{SITE, outcome="lost"}': "0+2x90"},
    "MedusaAgentsStayAway": {'medusa_sessions_ended_total{SITE, outcome="expired"}': "0+3x90"},
}  # fmt: skip
"""For each alert the series that differ when it fires."""

OF_ALL = {NONE_AT_ALL, "MedusaSessionsLost", "MedusaAgentsStayAway"}
"""The alerts that are not about one reflector."""


def promtool(*words: str, given: bytes | None = None) -> str:
    """Runs promtool, and returns what it has printed. Fails if it finds something wrong."""
    command = [tool("promtool"), *words]
    done = subprocess.run(command, input=given, capture_output=True, timeout=PATIENCE, check=False)
    text = (done.stdout + done.stderr).decode()
    assert done.returncode == 0, text
    return text


def series(trouble: str) -> list[dict[str, str]]:
    """The series of an installation with one trouble, which is also the name of its namespace."""
    values = {**HEALTHY, **TROUBLES.get(trouble, {})}
    return [{"series": name.replace("SITE", SITE % trouble), "values": told} for name, told in values.items() if told]


def expected(rule: dict[str, Any]) -> list[dict[str, Any]]:
    """The one alert of `rule`, in promtool's form."""
    labels = {"job": "medusa", "severity": rule["labels"]["severity"]}
    if rule["alert"] != NONE_AT_ALL:
        labels["namespace"] = rule["alert"]
    if rule["alert"] not in OF_ALL:
        labels |= {"instance": "a:8381", "pod": "a"}
    return [{"exp_labels": labels}]


def unit_test(*troubles: str) -> dict[str, Any]:
    """A test for promtool: of installations with these troubles, exactly the alerts of the same names fire."""
    return {
        "interval": "1m",
        "input_series": [one for trouble in troubles for one in series(trouble)],
        "alert_rule_test": [
            {
                "eval_time": "60m",
                "alertname": rule["alert"],
                "exp_alerts": expected(rule) if rule["alert"] in troubles else [],
            }
            for rule in ALERTS
        ],
    }


def test_each_alert_fires_in_its_trouble_and_in_no_other(tmp_path: Path) -> None:
    assert [rule["alert"] for rule in ALERTS] == list(TROUBLES)
    bare = [{**g, "rules": [{k: v for k, v in r.items() if k != "annotations"} for r in g["rules"]]} for g in GROUPS]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": bare}))
    sites = [trouble for trouble in TROUBLES if trouble != NONE_AT_ALL]
    tests = {"rule_files": ["rules.yml"], "tests": [unit_test("healthy", *sites), unit_test(NONE_AT_ALL)]}
    (tmp_path / "tests.yml").write_text(yaml.safe_dump(tests))
    promtool("test", "rules", str(tmp_path / "tests.yml"))


def expressions() -> Iterator[str]:
    """The expressions of the dashboard, with a value for each variable of Grafana."""
    values = {"$__rate_interval": "5m", "$job": "medusa", "$instance": "a"}
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", []):
            yield re.sub(r"\$\w+", lambda found: values[found[0]], target["expr"])


def test_the_rules_and_the_expressions_of_the_dashboard_are_valid(tmp_path: Path) -> None:
    assert f"{len(RECORDS) + len(ALERTS)} rules found" in promtool("check", "rules", str(RULES))
    rules = [{"record": f"panel:{number}", "expr": expr} for number, expr in enumerate(expressions())]
    (tmp_path / "dashboard.yml").write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    promtool("check", "rules", str(tmp_path / "dashboard.yml"))


def test_each_metric_exists_and_each_label(tmp_path: Path) -> None:
    with running() as reflector, reflector.pair():
        assert reflector.get("/nothing").status == 404
        text = reflector.get("/metrics").rest
    promtool("check", "metrics", given=text)
    samples = [sample for family in text_string_to_metric_families(text.decode()) for sample in family.samples]
    names = {sample.name for sample in samples} | set(re.findall(r"# TYPE (\w+) ", text.decode()))
    labels = {(key, value) for sample in samples for key, value in sample.labels.items()}
    queries = [definition for item in DASHBOARD["templating"]["list"] if (definition := item.get("definition"))]
    used = "\n".join([*expressions(), *queries, *HEALTHY, *(rule["expr"] for rule in RECORDS + ALERTS)])
    records = {rule["record"] for rule in RECORDS}
    assert set(re.findall(r"\w+:medusa_\w+(?::\w+)?", used)) <= records
    assert set(re.findall(r"(?<![\w:])medusa_\w+", used)) <= names
    for key in ("state", "outcome"):
        asked = {value for values in re.findall(key + r'=~?"([^"]+)"', used) for value in values.split("|")}
        assert asked <= {value for name, value in labels if name == key}
    by = {word for words in re.findall(r"(?:by|without) \(([^)]*)\)", used) for word in words.split(", ")}
    assert by - {"job", "instance", "pod"} <= {name for name, _ in labels} | {"reason", "status", "operation"}


def test_the_documents_name_each_alert_and_show_a_configuration(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "operations.md").read_text().partition("## Monitoring\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|", text, re.MULTILINE)
    assert dict(rows) == {rule["alert"]: rule["labels"]["severity"] for rule in ALERTS}
    shown = text[text.index("    rule_files") :].partition("\n\n")[0]
    (tmp_path / "prometheus.yml").write_text(textwrap.dedent(shown))
    (tmp_path / RULES.name).write_bytes(RULES.read_bytes())
    promtool("check", "config", str(tmp_path / "prometheus.yml"))


def test_each_panel_says_what_it_shows() -> None:
    for panel in (panel for panel in DASHBOARD["panels"] if panel["type"] != "row"):
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
        assert {source["uid"] for source in sources} == {"${datasource}"}, panel["title"]
