"""Commands as processes: starts them, passes their input and output, and ends them.

commands        all commands that the agent has started: reaps them, and ends one or all
terminal_child  a command on its terminal: input, output, exit
pipe_child      a command on three pipes: input, output, exit
spawn           starts a command on a terminal
execution       executes the command in a forked child, and reports errors
context         what commands and links need from the agent's process
drain           decides when the output of a command that has ended is complete
inherited       what the agent has inherited from the job and changes for itself
process_tree    finds all processes of commands, and ends them
"""
