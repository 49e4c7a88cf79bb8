"""The launcher `kubernetes`: runs the agent in a Kubernetes cluster.

cluster    the cluster: where it is, and requests to it
cleanup    deletes the objects of one session; also a program that the guard process runs
ephemeral  runs the agent in an ephemeral container of a pod that already runs (--job)
job        runs the agent in a new Job, with its Secret and ConfigMaps
launcher   the class KubernetesLauncher
objects    describes the Job, Secret and ConfigMaps of a session as JSON; no I/O
options    parses the arguments after --
status     puts the status of a Job or container into words; no I/O
"""

from __future__ import annotations
