"""The launcher `manta`: runs the agent as a job in a Manta (an object store that also runs jobs).

api       one method for each request that is needed: on objects, directories and jobs
errors    the exception that a failed request raises, and its text
http      sends one signed HTTP request, and retries it
job       creates, starts, watches and closes one job
launcher  the class MantaLauncher
"""

from __future__ import annotations
