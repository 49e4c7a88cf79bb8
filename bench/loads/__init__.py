"""The load generator of sessions: runs programs through Medusa or ssh, and measures what they do.

`python -m bench.loads` prints a record in JSON, as the load generator of relays does.

programs  runs a program, on pipes or on a terminal, and reads its output
delays    steps one after another, and how long they take
commands  the output of a command, and the echo of a key
forwards  a forwarded port (-L): bytes, echoes, connections
copies    copies of files, and the first command over a new connection
"""
