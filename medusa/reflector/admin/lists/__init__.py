"""Lists of sessions: of this process, of the other workers and of the other reflectors, in pages.

list_answer   answers requests for lists
session_list  lists and ends the sessions of this process, of other workers and of other reflectors
others        the interfaces to the sessions of other workers and reflectors
cursor        where a page begins, and what a request asks for
pages         makes one list of the lists of several processes
"""

from __future__ import annotations
