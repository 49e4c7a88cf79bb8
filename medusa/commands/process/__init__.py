"""The process that a program runs in.

core_dumps  keeps secrets out of core dumps
streams     standard streams that are closed, or that do not take what is written
"""
