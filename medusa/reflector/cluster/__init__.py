"""Talks to the other reflectors of the site, which share the session directory.

peer_auth     signs and checks requests between reflectors, with the site's secret
forward_out   forwards an agent to the reflector that owns its session
forward_in    attaches an agent that another reflector forwards here
byte_proxy    copies the bytes of a forwarded connection
lease         the lease of this reflector on its address, so that no two reflectors use the same address
site_address  checks that other reflectors can use this address
query_client  asks the other reflectors for their sessions, or asks one of them to end a session
query_server  answers the requests that the query_client of another reflector sends
"""

from __future__ import annotations
