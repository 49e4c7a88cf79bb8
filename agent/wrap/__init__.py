"""`agent.sh wrap -- COMMAND`: run a step of a job, and offer a session in its place if it fails.

main     the command line, and what happens in which order
options  where to dial and how long to wait
step     run the command
output   pass its output on
tail     keep the last of its output
wait     dial until a client is there
"""
