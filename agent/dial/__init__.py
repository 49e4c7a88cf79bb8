"""How the agent dials the reflector: for its first link, for the same again after a loss, and for its clients.

first      dials for the first link, again and again for a while
legs       dials once more for each client that joins, in steps that never block
returning  when to dial again after a link was lost; no I/O, no clock
announce   what the agent tells the reflector about itself
"""
