"""Each object by the schema that Kubernetes publishes, through the rules of the stand-in."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from medusa.client.launchers.kubernetes import objects
from medusa.client.launchers.kubernetes.options import PodOptions, parse
from medusa.protocol.record import replace
from tests.kube import rules

NAME = "medusa-0123abcd"
ALL = "--image i --cpu 2 --memory 4Gi --gpu 1 --time 1h --pull-secret s --label a=b --env A=B --node-selector x=y"


@pytest.mark.parametrize("words", ["--image i", f"{ALL} --service-account r"])
@pytest.mark.parametrize("pieces", [0, 1, 16])
def test_a_job_follows_the_schema(words: str, pieces: int) -> None:
    rules.check("Job", "batch/v1", objects.job(NAME, parse(words.split()), pieces))


def test_all_options_are_in_the_pod() -> None:
    overrides = {"priorityClassName": "low", "containers": [{"name": "medusa", "workingDir": "/srv"}]}
    options = replace(parse(f"{ALL} --service-account r".split()), overrides=overrides)
    spec = objects.job(NAME, options, 0)["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    quantities = {"cpu": "2", "memory": "4Gi", "nvidia.com/gpu": "1"}
    assert container["resources"] == {"requests": quantities, "limits": quantities}
    assert (container["env"], container["workingDir"]) == ([{"name": "A", "value": "B"}], "/srv")
    assert (spec["nodeSelector"], spec["imagePullSecrets"]) == ({"x": "y"}, [{"name": "s"}])
    assert (spec["serviceAccountName"], spec["automountServiceAccountToken"]) == ("r", True)
    assert (spec["priorityClassName"], spec["activeDeadlineSeconds"]) == ("low", 3600)


def test_a_small_archive_goes_into_the_secret() -> None:
    assert objects.archive_parts(b"x" * objects.MAX_PART) == []
    secret = objects.secret(NAME, {"signed_url": "u"}, b"archive")
    rules.check("Secret", "v1", secret)
    found = {name: base64.b64decode(text) for name, text in secret["data"].items()}
    assert json.loads(found["config.json"]) == {"signed_url": "u"}
    assert found["agent.sh"] == b"archive"


def test_the_largest_secret_and_the_largest_part_are_allowed() -> None:
    rules.check("Secret", "v1", objects.secret(NAME, {"signed_url": "u" * 2000}, bytes(objects.MAX_PART)))
    for body in objects.config_maps(NAME, [bytes(objects.MAX_PART)]):
        rules.check("ConfigMap", "v1", body)


@pytest.mark.parametrize("size", [objects.MAX_PART + 1, 15 << 20])
def test_a_large_archive_is_split_into_parts_whose_names_sort(size: int) -> None:
    archive = (b"0123456789" * (size // 10 + 1))[:size]
    pieces = objects.archive_parts(archive)
    assert b"".join(pieces) == archive
    maps = objects.config_maps(NAME, pieces)
    assert [body["metadata"]["name"] for body in maps] == objects.part_names(NAME, len(pieces))
    job = objects.job(NAME, PodOptions("i"), len(pieces))
    (volume, _) = job["spec"]["template"]["spec"]["volumes"]
    paths = [source["configMap"]["items"][0]["path"] for source in volume["projected"]["sources"][1:]]
    assert paths == sorted(paths)
    assert len(paths) == len(pieces)


def test_the_user_cannot_replace_our_own_labels() -> None:
    job = objects.job(NAME, PodOptions("i", labels={objects.INSTANCE: "another", "team": "blue"}), 0)
    for metadata in (job["metadata"], job["spec"]["template"]["metadata"]):
        assert metadata["labels"][objects.INSTANCE] == NAME
        assert metadata["labels"]["team"] == "blue"


@pytest.mark.parametrize(
    ("base", "over", "result"),
    [
        ({"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"c": 4}, "e": 5}, {"a": 1, "b": {"c": 4, "d": 3}, "e": 5}),
        ({"a": 1, "b": 2}, {"a": None}, {"b": 2}),
        ({}, {"a": {"b": None, "c": 1}}, {"a": {"c": 1}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        (
            {"a": [{"name": "x", "v": 1}, {"name": "y"}]},
            {"a": [{"name": "z"}, {"name": "x", "w": 2}]},
            {"a": [{"name": "x", "v": 1, "w": 2}, {"name": "y"}, {"name": "z"}]},
        ),
        ({"a": [{"name": "x"}]}, {"a": [{"key": "y"}]}, {"a": [{"key": "y"}]}),
    ],
)
def test_overrides_are_merged(base: Any, over: Any, result: Any) -> None:
    assert objects.merge(base, over) == result
