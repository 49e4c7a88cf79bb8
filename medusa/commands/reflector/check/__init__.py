"""Finds what is unsafe about a reflector's configuration. This file imports nothing.

precautions  warns about secrets that others could read
"""
