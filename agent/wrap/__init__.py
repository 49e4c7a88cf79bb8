"""`agent.sh wrap -- COMMAND`: runs a step of a job, and offers a session in its place if the step fails.

main          the command line, and the order of all that happens
options       the options: where to dial, and how long to wait for a client
step          runs the command of the step
phases        the table of the step: for each phase and each input (event), the next phase
step_signals  which signals the step gets, and how the agent takes them
output        passes the output of the step on
tail          keeps the last output of the step
hold          gives sessions one after the other until the time is over
wait          dials the reflector until a client is there
"""
