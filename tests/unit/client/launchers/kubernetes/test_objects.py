"""Each object by the schema that Kubernetes publishes, through the rules of the stand-in."""

from __future__ import annotations

import base64
import json

import pytest

from medusa.client.launchers.kubernetes import objects
from medusa.client.launchers.kubernetes.options import Wanted, parse
from tests.kube import rules

NAME = "medusa-0123abcd"
ALL = "--image i --cpu 2 --memory 4Gi --gpu 1 --time 1h --pull-secret s --label a=b --env A=B --node-selector x=y"


@pytest.mark.parametrize("words", ["--image i", f"{ALL} --service-account r"])
@pytest.mark.parametrize("pieces", [0, 1, 16])
def test_a_job_is_one(words: str, pieces: int) -> None:
    rules.check("Job", "batch/v1", objects.job(NAME, parse(words.split()), pieces))


def test_a_small_archive_travels_in_the_secret() -> None:
    assert objects.parts(b"x" * objects.ROOM) == []
    secret = objects.secret(NAME, {"signed_url": "u"}, b"archive")
    rules.check("Secret", "v1", secret)
    found = {name: base64.b64decode(text) for name, text in secret["data"].items()}
    assert json.loads(found["config.json"]) == {"signed_url": "u"}
    assert found["agent.sh"] == b"archive"


def test_the_largest_secret_and_the_largest_part_have_room() -> None:
    rules.check("Secret", "v1", objects.secret(NAME, {"signed_url": "u" * 2000}, bytes(objects.ROOM)))
    for body in objects.config_maps(NAME, [bytes(objects.ROOM)]):
        rules.check("ConfigMap", "v1", body)


@pytest.mark.parametrize("size", [objects.ROOM + 1, 15 << 20])
def test_a_large_archive_travels_in_parts_whose_names_sort(size: int) -> None:
    archive = (b"0123456789" * (size // 10 + 1))[:size]
    pieces = objects.parts(archive)
    assert b"".join(pieces) == archive
    maps = objects.config_maps(NAME, pieces)
    assert [body["metadata"]["name"] for body in maps] == objects.part_names(NAME, len(pieces))
    job = objects.job(NAME, Wanted("i"), len(pieces))
    (volume, _) = job["spec"]["template"]["spec"]["volumes"]
    paths = [source["configMap"]["items"][0]["path"] for source in volume["projected"]["sources"][1:]]
    assert paths == sorted(paths)
    assert len(paths) == len(pieces)


def test_the_jobs_own_labels_are_not_the_users() -> None:
    job = objects.job(NAME, Wanted("i", labels={objects.INSTANCE: "another", "team": "blue"}), 0)
    for metadata in (job["metadata"], job["spec"]["template"]["metadata"]):
        assert metadata["labels"][objects.INSTANCE] == NAME
        assert metadata["labels"]["team"] == "blue"
