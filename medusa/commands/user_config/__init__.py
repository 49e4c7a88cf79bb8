"""The user's config file, with its profiles. This file imports nothing.

target  finds what mlogin's TARGET names
parser  the parser of a program that reads the file
"""
