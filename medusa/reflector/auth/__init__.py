"""May this peer do that?

access         one table: resources, options, and where the peer is
authenticator  is this request signed by the login that its path names
accounts       the public keys of the logins
replay_cache   signatures that were used, so that none is used twice
"""

from __future__ import annotations
