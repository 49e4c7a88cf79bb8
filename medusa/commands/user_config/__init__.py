"""Reads the user's config file, with its profiles. This file imports nothing.

target      finds what mlogin's TARGET names
precedence  drops the options that the file sets for another launcher than the session's
parser      the parser of a program that reads the file
"""
