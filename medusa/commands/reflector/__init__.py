"""`medusa reflector`.

command        the options; then one process, or a supervisor and workers
limit_options  the options for limits and trusted proxies
serve          one process: logging, signals, gevent
supervise      several processes: the supervisor's side
worker         several processes: the program of a worker
logs           the log's form: JSON in bunyan's fields, or for a terminal
systemd        tells systemd that the reflector is ready, or stops
"""

from __future__ import annotations
