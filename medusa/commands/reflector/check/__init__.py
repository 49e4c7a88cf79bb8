"""Finds out what a configuration allows: which peers may use which paths, and what is unsafe.

This file imports nothing.

report       `medusa reflector --check`: reads everything that the configuration names, and prints what it found
audiences    says which peers may reach which paths; no I/O
exposure     finds settings that are unsafe; no I/O
precautions  warns about secrets that others could read
"""
