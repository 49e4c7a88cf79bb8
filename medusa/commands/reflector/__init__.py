"""The command `medusa reflector`.

command        reads the options, then runs one process, or a supervisor and workers
limit_options  the options for limits and trusted proxies
serve          runs a single process: logging, signals, gevent
supervise      runs the supervisor of several processes
worker         the program of one worker process
logs           sets up the log: JSON with bunyan's fields, or text for a terminal
systemd        tells systemd that the reflector is ready, or that it stops
"""

from __future__ import annotations
