"""The user's config file, with its profiles. This file imports nothing.

target      finds what mlogin's TARGET names
precedence  drops what the file sets for another launcher than the one that the session uses
parser      the parser of a program that reads the file
"""
