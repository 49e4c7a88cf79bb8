"""Describes the agent's machine and job, and when the job ends, for lists of sessions. No I/O."""

from __future__ import annotations

import time
from typing import Mapping, Optional

from medusa.protocol.http.about import About

JOBS = (
    ("GITHUB_RUN_ID", "github"),
    ("CI_JOB_ID", "gitlab"),
    ("BUILDKITE_JOB_ID", "buildkite"),
    ("CIRCLE_WORKFLOW_JOB_ID", "circleci"),
    ("SLURM_JOB_ID", "slurm"),
    ("PBS_JOBID", "pbs"),
    ("LSB_JOBID", "lsf"),
    ("OAR_JOB_ID", "oar"),
    ("FLUX_JOB_ID", "flux"),
    ("AWS_BATCH_JOB_ID", "aws-batch"),
    ("NOMAD_ALLOC_ID", "nomad"),
    ("MANTA_JOB_ID", "manta"),
)
"""(the variable in which a job system tells a job its id, the name of the system).

The first variable that is set counts. CI systems come first, because their jobs may run in a job of another system.
"""

SLURM_ARRAY = ("SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID")
"""Slurm's variables in a job of an array. Users write the id of such a job as <array job>_<array task>."""

SLURM_END = "SLURM_JOB_END_TIME"
"""Slurm's variable for the end of the job, in seconds since 1970."""

GITLAB_START, GITLAB_TIMEOUT = "CI_JOB_STARTED_AT", "CI_JOB_TIMEOUT"
"""GitLab's variables for the start of the job, such as 2026-11-22T20:35:04Z, and for its time limit in seconds."""

IN_KUBERNETES, POD_NAME = "KUBERNETES_SERVICE_HOST", "POD_NAME"
"""Two variables of a container in Kubernetes: one that is always set, and one with the name of the pod.

POD_NAME is set only if the author of the pod has asked for it. If it is not set, the name of the machine is taken for
the name of the pod. That is right unless the pod uses the network of its node.
"""


def about_agent(environ: Mapping[str, str], host: str) -> About:
    """Returns the machine, the job and the end of the job, as far as the environment names them.

    Args:
        environ: the agent's environment.
        host: the name of the agent's machine.
    """
    return About(host=host, job=_job(environ, host), until=_until(environ))


def _until(environ: Mapping[str, str]) -> Optional[int]:
    try:
        if SLURM_END in environ:
            return int(environ[SLURM_END])
        begun = time.strptime(environ[GITLAB_START], "%Y-%m-%dT%H:%M:%SZ")
        from calendar import timegm  # takes long to import

        start = timegm(begun)
        return start + int(environ[GITLAB_TIMEOUT])
    except (KeyError, ValueError):
        return None


def _job(environ: Mapping[str, str], host: str) -> Optional[str]:
    for variable, system in JOBS:
        given = environ.get(variable)
        if given:
            array = [environ.get(name) for name in SLURM_ARRAY] if system == "slurm" else []
            return "%s %s" % (system, "_".join(filter(None, array)) if all(array) and array else given)
    return "kubernetes %s" % (environ.get(POD_NAME) or host) if environ.get(IN_KUBERNETES) else None
