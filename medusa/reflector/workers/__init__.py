"""The other processes of one reflector (`--workers N`): a supervisor, and workers that share its sockets.

Without gevent:
    supervisor  starts workers, restarts them, passes on signals
    process     one worker's process as the supervisor sees it, and the backoff of its restarts
    task        what a worker gets at its start, the orders after that, and its reports
    sharding    which worker owns a session: a keyed hash of its name
    fd_channel  messages between workers, each with one descriptor

With gevent, in each worker:
    handoff     connections handed to the worker that owns their session, and taken over from the others
    rpc         questions between workers: status, sessions, metrics, the end of a session
    tls_proxy   TLS of a connection whose session lives in another worker
"""

from __future__ import annotations
