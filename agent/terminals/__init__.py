"""The terminals of the agent. They may outlive the clients that show them.

registry     all terminals: their numbers, their limit
viewer       a client that shows a terminal: connects a channel of the client's stream with the terminal
description  what clients are told about a terminal and about the end of its command
terminal     a command, its last output, and its viewers
interfaces   what terminals, viewers and the viewers' streams know of each other
ring         the last output of a terminal, and where a client that comes later begins to read
queries      escape sequences that a terminal emulator answers, and these answers
"""
