"""Writes the man pages and the completions of shells, from the parsers of the programs: run when a wheel is built.

completion  the completions for bash, zsh and fish
manpage     a man page from parsers and their sections; no I/O
programs    which programs there are, and on which page each of them stands
"""
