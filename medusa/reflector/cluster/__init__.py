"""The other reflectors that share the session directory.

peer_auth     requests between reflectors, signed with the site's secret
forward_out   an agent that came to the wrong reflector is forwarded to the owner of its session
forward_in    an agent that another reflector forwards is attached here
byte_proxy    the byte proxy of a forwarded connection
query_client  asks the other reflectors for their sessions, or to end one
query_server  answers such questions
"""

from __future__ import annotations
