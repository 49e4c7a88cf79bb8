"""One session of the agent: a link and a command on a pseudo-terminal, joined.

loop          the loop that joins them
phases        the table that says what follows from what
drain         when the output of a command that has ended is complete
child         a command on its terminal: input, output, exit
spawn         start a command on a terminal
command       what to start: the client's request resolved on this machine
process_tree  all processes of the session, and how to end them
"""
