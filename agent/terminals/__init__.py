"""The terminals of the agent. They may outlive the clients that show them.

registry  all terminals: their numbers, their limit
viewer    a client that shows a terminal: a channel of its stream
terminal  a command, its last output, its viewers; which of them it waits for
ring      the last output of a terminal, and where a client that comes later begins to read
queries   escape sequences that an emulator answers, and these answers
"""
