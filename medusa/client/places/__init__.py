"""Reads to which places connections are to be forwarded. No I/O.

specs  the values of the options -L, -R, -D and -W
socks  what a program asks of a SOCKS proxy
"""
