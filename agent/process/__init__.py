"""Commands as processes: starts them, passes their input and output, and ends them.

terminal_child  a command on its terminal: input, output, exit
spawn           starts a command on a terminal
drain           decides when the output of a command that has ended is complete
inherited       what the agent has inherited from the job and changes for itself
process_tree    finds all processes of a command, and ends them
"""
