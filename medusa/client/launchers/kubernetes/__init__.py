"""A session's job in a Kubernetes cluster. Pure: `wanted`, `objects`, `merging`, `reasons`. Steps: `job`, `removal`.

Through the official client: `api`.
"""

from __future__ import annotations
