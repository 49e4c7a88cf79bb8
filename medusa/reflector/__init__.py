"""The server. Only this package, its launcher and its workers' program use gevent.

server         a reflector put together: start, drain, stop
config         the options of a reflector, checked, and its fixed times
refusal        a refusal: its status, and its words for the peer and for the log
metrics        the numbers that a monitoring system reads
session_name   what a session is called, and the paths that name it
child_process  command and environment of a process that runs a part of this program

fronts         accept peers, each front by its protocol, and admit them to sessions
cluster        the other reflectors that share the session directory
workers        the other processes of this reflector
admin          for administrators: metrics, the list of sessions, the published archive
sessions       the sessions that live in this process
auth           may this peer do that: accounts, signatures, access by place
relay          how the bytes of a linked pair move
net            sockets: listen, accept, addresses, TLS; no policy
"""

from __future__ import annotations
