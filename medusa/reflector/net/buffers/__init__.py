"""Decides how many bytes the kernel may buffer for a link: few on a short link, as many as it needs on a long one.

A sender can have as many bytes on their way as the buffers of both ends hold. On a short link few are enough, and more
would only make a peer that has stopped reading cost more. On a link with a long round trip, few buffered bytes would
make the link slow. There the kernel finds the sizes itself: by the round trip and the rate, up to a limit.

sizes       decides, without I/O: is a link long, and which links have to get small buffers
kernel      asks the kernel for round trips and held memory, and sets sizes
long_links  the long links of this process: chooses the buffers of each link, and keeps the limit of all
"""

from __future__ import annotations
