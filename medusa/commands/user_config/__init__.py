"""The user's config file, with its profiles. This file imports nothing.

target      finds what mlogin's TARGET names
precedence  settles what the file says about launchers, where a session uses another one
parser      the parser of a program that reads the file
"""
