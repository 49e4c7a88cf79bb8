"""The command `medusa reflector`: runs the server to which mlogin and the agents attach.

command        reads the options, then runs one process, or a supervisor and workers
limit_options  the options for limits and trusted proxies
serve          runs a single process: logging, signals, gevent
supervise      runs the supervisor of several processes
worker         the program of one worker process
logs           sets up the log: JSON with bunyan's fields, or text for a terminal
streams        writes the line that says where the reflector listens
check          finds what is unsafe about a configuration
variables      the reflector's own variables, and the names that they had in earlier versions
systemd        tells systemd that the reflector is ready, reloads, still runs, or stops
"""

from __future__ import annotations
