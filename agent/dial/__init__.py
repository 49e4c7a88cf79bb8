"""Dials the reflector: for the agent's first link, again after that link was lost, and for each client.

first      dials for the first link, again and again for a while
legs       dials once more for each client that joins, in steps that never block
returning  decides when to dial again after a link was lost; no I/O, no clock
announce   builds what the agent tells the reflector about itself
"""
