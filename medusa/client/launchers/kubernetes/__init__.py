"""The launcher `kubernetes`: runs the agent in a Kubernetes cluster.

api        finds the cluster, and sends requests to it through the official Python client
cleanup    deletes the objects of one session; also a program that the guard process runs
ephemeral  runs the agent in an ephemeral container of a pod that already runs (--job)
errors     the exception that a failed request raises, and its text
job        runs the agent in a new Job, with its Secret and ConfigMaps
launcher   the class KubernetesLauncher
objects    describes the Job, Secret and ConfigMaps of a session as JSON; no I/O
options    parses the arguments after --
status     puts the status of a Job or container into words; no I/O
"""

from __future__ import annotations
