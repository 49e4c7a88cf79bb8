"""What this process has in the directory, which all reflectors share.

asker  asks the directory, and knows whether it answers
marks  reserves and uses the names of signatures in the directory
names  claims the names of this process's sessions in the directory, renews and releases them
"""

from __future__ import annotations
