"""One session of the agent: joins a link and a command on a pseudo-terminal.

loop          the loop that joins link and terminal
phases        the table of the session: for each phase and input, the next phase and the actions
drain         decides when the output of a command that has ended is complete
child         a command on its terminal: input, output, exit
spawn         starts a command on a terminal
inherited     what the agent has inherited from the job and changes for itself
process_tree  finds all processes of the session, and ends them
"""
