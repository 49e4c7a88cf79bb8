"""Runs commands as processes: starts them, passes their input and output, and ends them.

commands        all commands that the agent has started: reaps them, and ends one or all
terminal_child  a command on its terminal: input, output, exit
pipe_child      a command on three pipes: input, output, exit
spawn           starts a command on a terminal
execution       executes the command in a forked child, and reports errors
context         the settings of the agent's process that commands and links need
drain           decides when the output of a command that has ended is complete
inherited       restores, for commands, settings that the agent has inherited from the job and changed
process_tree    finds all processes of commands, and ends them
"""
