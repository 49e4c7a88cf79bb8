"""The launcher `kubernetes`: a session's job in a Kubernetes cluster.

api        requests through the official client, and which cluster they go to
cleanup    deletes the objects of one session; also a program, for the guard
ephemeral  an ephemeral container in a pod that already runs: --job
errors     the error that a request raises, and its words
job        a Job of our own, with its Secret and ConfigMaps
launcher   the launcher itself
objects    the objects that a session creates; pure
options    the arguments after --
status     the status of a Job or container in words; pure
"""

from __future__ import annotations
