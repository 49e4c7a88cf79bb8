"""The reflector: the server that joins a client to an agent.

Only this package and the commands that start it (medusa.commands.reflector) use gevent.

server         puts a reflector together from its parts; starts, drains and stops it
parts          opens what the options name: directory, address, certificate, accounts
config         the options of a reflector, their checks, and the times that have no option
refusal        the exception for a refusal: its status, and its texts for the peer and for the log
metrics        the numbers for a monitoring system
session_name   the name of a session, and the paths that contain it
hangup         finds out what a SIGHUP means: the terminal has ended, or the user asks to reload
child_process  the command and environment for a child process that runs a module of this installation

fronts         accept peers by HTTP or raw TCP, and admit them to sessions
cluster        passes connections and requests to the other reflectors that share the session directory
workers        passes connections and requests to the other processes of this reflector
admin          what administrators use: metrics, the list of sessions, the published archive
sessions       the sessions that live in this process
auth           decides what a peer may do: accounts, signatures, access by network address
tickets        gives and checks tickets, by which peers come back to their sessions
relay          moves the bytes between the client and the agent of a session
net            sockets: listening, accepting, addresses, TLS; no decisions about peers
"""

from __future__ import annotations
