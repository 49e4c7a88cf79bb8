"""Renders the chart in deploy/helm with Helm's own engine."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import pytest
import yaml

from tests.proxies import DEPLOY
from tests.waiting import PATIENCE

CHART = DEPLOY / "helm" / "medusa"
NOTES = "NOTES.txt"

# A process of its own: Helm's engine is a library with threads.
_RENDER = """
import json, sys
import helm_python as helm
results = []
with helm.Chart.load(sys.argv[1]) as chart:
    for values in json.load(sys.stdin):
        try:
            results.append(chart.render(values, name="demo", namespace="jobs"))
        except helm.HelmError as error:
            results.append(str(error))
print(json.dumps(results))
"""

Rendered = dict[str, dict[str, Any]]


def render(cases: Sequence[dict[str, Any]]) -> list[Rendered | str]:
    """Renders the chart with each of `cases` as values.

    Returns for each the objects by kind and name, with the notes as {NOTES: {"text": ...}}, or the text of the error.
    """
    if find_spec("helm_python") is None:
        pytest.skip("needs helm-python-sdk")
    command = [sys.executable, "-c", _RENDER, str(CHART)]
    done = subprocess.run(
        command, input=json.dumps(cases), capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stderr
    return [result if isinstance(result, str) else _objects(result) for result in json.loads(done.stdout)]


def _objects(files: dict[str, str]) -> Rendered:
    found: Rendered = {}
    for name, text in files.items():
        if name.endswith(NOTES):
            found[NOTES] = {"text": text}
            continue
        for body in filter(None, yaml.safe_load_all(text)):
            key = f"{body['kind']}/{body['metadata']['name']}"
            assert key not in found
            found[key] = body
    return found
