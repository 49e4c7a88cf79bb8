from __future__ import annotations

import pytest

from agent.about import JOBS, about_agent
from medusa.protocol.http.about import MAX_VALUE, About, build, parse

SLURM = {"SLURM_JOB_ID": "4713", "SLURM_JOB_END_TIME": "1790000000"}
POD = {"KUBERNETES_SERVICE_HOST": "10.96.0.1"}


@pytest.mark.parametrize(
    ("environ", "about"),
    [
        ({}, About(host="gpu01")),
        (SLURM, About(host="gpu01", job="slurm 4713", until=1790000000)),
        (
            {**SLURM, "SLURM_ARRAY_JOB_ID": "4711", "SLURM_ARRAY_TASK_ID": "2"},
            About(host="gpu01", job="slurm 4711_2", until=1790000000),
        ),
        ({**SLURM, "SLURM_ARRAY_TASK_ID": "2", "SLURM_JOB_END_TIME": "soon"}, About(host="gpu01", job="slurm 4713")),
        ({**POD, **SLURM, "CI_JOB_ID": "7"}, About(host="gpu01", job="gitlab 7", until=1790000000)),
        (
            {"CI_JOB_ID": "7", "CI_JOB_STARTED_AT": "2026-11-22T20:35:04Z", "CI_JOB_TIMEOUT": "3600"},
            About(host="gpu01", job="gitlab 7", until=1795379704 + 3600),
        ),
        ({"CI_JOB_STARTED_AT": "today", "CI_JOB_TIMEOUT": "3600"}, About(host="gpu01")),
        (POD, About(host="gpu01", job="kubernetes gpu01")),
        ({**POD, "POD_NAME": "train-x7"}, About(host="gpu01", job="kubernetes train-x7")),
        *(({variable: "a-1"}, About(host="gpu01", job=f"{system} a-1")) for variable, system in JOBS),
    ],
)
def test_what_an_agent_says_about_itself(environ: dict[str, str], about: About) -> None:
    assert about_agent(environ, "gpu01") == about
    assert parse(build(about)) == about


@pytest.mark.parametrize(
    "environ", [{"MANTA_JOB_ID": "x" * 2000}, {"MANTA_JOB_ID": "a\nb"}, {"SLURM_JOB_END_TIME": "9" * 50}]
)
def test_what_no_list_could_show_is_left_out(environ: dict[str, str]) -> None:
    assert parse(build(about_agent(environ, "gpu01"))) == About(host="gpu01")
    assert len(build(about_agent(environ, "g" * 255))) <= MAX_VALUE
