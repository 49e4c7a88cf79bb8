"""One session of the agent: joins a link and a command on a pseudo-terminal.

loop    the loop that joins link and terminal
phases  the table of the session: for each phase and input, the next phase and the actions
"""
