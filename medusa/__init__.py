"""Medusa: interactive sessions for batch jobs. Imports nothing, because the agent's archive contains this package.

commands       the command lines: `medusa` and `mlogin`
reflector      the server that joins a client and an agent
client         mlogin: a terminal in a job
session        the life of a session as one table
transports     links: whole messages over a socket, TLS, dialling
directory      which reflector owns which session
protocol       what is on the wire, without I/O
guard          a child process that cleans up after its parent was killed
keys           SSH public keys
option_types   types of command-line options
process_table  what /proc says about processes
signal_pipe    signals as readable bytes
"""

__version__ = "0.1.0"
