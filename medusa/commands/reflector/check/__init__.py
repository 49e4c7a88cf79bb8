"""Finds which paths a configuration lets which peers use, and what in it is unsafe. This file imports nothing.

report       `medusa reflector --check`: reads everything that the configuration names, and prints what it found
audiences    which peers may reach which paths; no I/O
exposure     settings that are unsafe; no I/O
precautions  warns about secrets that others could read
"""
