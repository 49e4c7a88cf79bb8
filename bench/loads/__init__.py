"""The load generator of sessions: runs programs through Medusa or ssh, and measures what they do.

`python -m bench.loads` prints a record in JSON, as the load generator of relays does.

programs  runs a program, on pipes or on a terminal, and reads its output
commands  the output of a command
forwards  a forwarded port (-L): bytes, echoes, connections
copies    copies of files, and the first command over a new connection
"""
