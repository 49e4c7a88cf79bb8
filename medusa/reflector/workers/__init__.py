"""Several processes for one reflector (`--workers N`): a supervisor, and workers that share its listening sockets.

Without gevent:
    supervisor       starts workers, restarts them, and passes signals on to them
    process          starts the process of one worker, gives it orders, and computes the waits before its restarts
    service_manager  what the supervisor tells the program that has started the reflector as a service
    task             what the supervisor writes to a worker (its task, later orders), and what the worker reports
    sharding         computes which worker owns a session: by a keyed hash of the session's name
    fd_channel       messages between workers, each with one file descriptor

With gevent, in each worker:
    handoff          sends a connection to the worker that owns its session, and receives connections from other workers
    rpc              questions between workers: status, sessions, metrics, ending a session
    tls_proxy        decrypts and encrypts a TLS connection for the worker in which its session lives
"""

from __future__ import annotations
