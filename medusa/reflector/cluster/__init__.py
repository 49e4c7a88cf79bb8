"""Talks to the other reflectors of the site, which share the session directory.

peer_auth     signs and checks requests between reflectors, with the site's secret
forward_out   forwards an agent to the reflector that owns its session
forward_in    attaches an agent that another reflector forwards here
byte_proxy    copies the bytes of a forwarded connection
lease         the lease of this reflector on its address: no two reflectors have the same
site_address  checks that other reflectors can use this address
query_client  asks the other reflectors for their sessions, or to end one
query_server  answers these questions of other reflectors
"""

from __future__ import annotations
