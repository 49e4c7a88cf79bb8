"""Prepares the process that a program runs in.

core_dumps  keeps secrets out of core dumps
garbage     sets up the garbage collector for a process with very many objects
streams     opens standard streams that are closed, and handles writes to them that fail
"""
