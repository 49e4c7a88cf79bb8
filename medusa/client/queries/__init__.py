"""Asks a reflector for its lists of sessions, by HTTP.

api      sends one request, and reads the JSON of its answer
finding  finds the session whose id begins with a text
"""
