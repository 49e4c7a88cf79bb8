"""Medusa: interactive sessions for batch jobs.

This file imports nothing, because the agent's archive holds this file but only a part of the package.

commands       the command lines: `medusa` and `mlogin`
reflector      the server that joins a client and an agent
client         mlogin: gives the user a terminal in a job
session        the state machine of a session, as one table
transports     links, which carry whole messages over a socket; TLS; dialling
directory      the record of which reflector owns which session
protocol       the formats on the wire, without I/O
forked         forks a helper process that calls one function
guard          a child process that cleans up after its parent was killed
help_text      help of a program: options in groups, examples, variables
keys           SSH public keys
option_types   types of command-line options, hints for misspelt words
process_table  reads the processes from /proc
service_variables  recognises the variables that Kubernetes sets for Services
signal_pipe    turns signals into bytes of a pipe
temporary      finds the directory for temporary files
"""

__version__ = "0.1.0"
