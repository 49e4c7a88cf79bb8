"""Decides what to start, from the client's request and what this machine has.

wish         what a channel of a stream asks for
resolve      the program, its arguments, its directory, the size of its terminal
login_shell  the user's login shell
environment  the variables of the command
encoding     converts texts to the kernel's bytes, and back
"""
