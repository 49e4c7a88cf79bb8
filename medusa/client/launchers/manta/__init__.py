"""The launcher `manta`: a session's job in a Manta, an object store that runs jobs.

api       requests by their purpose: objects, directories, jobs
errors    the error that a request raises, and its words
http      one signed HTTP request
job       one job, step by step
launcher  the launcher itself
"""

from __future__ import annotations
