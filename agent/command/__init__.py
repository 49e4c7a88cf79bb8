"""Decides which command to start, from the client's request and from what this machine has.

wish         decides what to run for a channel of a stream
file_server  decides which SFTP server to start
resolve      decides on the program, its arguments, its directory and the size of its terminal
login_shell  finds the user's login shell
environment  builds the variables of the command
encoding     converts texts to the kernel's bytes, and back
"""
