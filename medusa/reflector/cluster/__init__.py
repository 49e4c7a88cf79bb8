"""Talks to the other reflectors of the site, which is the group of reflectors that share the session directory.

peer_auth     signs and checks requests between reflectors, with the site's secret
forward_out   forwards a peer to the reflector that owns its session
forward_in    attaches a peer that another reflector forwards here
byte_proxy    copies the bytes of a forwarded connection
lease         makes sure that no two reflectors use the same address
site_address  checks that other reflectors can use this reflector's address
query_client  asks the other reflectors for their sessions, or asks one of them to end a session
query_server  answers the requests that the query_client of another reflector sends
"""

from __future__ import annotations
