"""The options of mlogin, in the groups in which `mlogin --help` and the man page show them.

groups    makes the parser: one function for each group
advice    makes the errors for words that mlogin does not understand, and the help for one launcher
forwards  the options that forward connections; `medusa exec`, `attach` and `forward` have them too
process   the options that say how a command runs in the job; `medusa exec` has them too
signing   decides which account signs the requests
texts     the sections of the help text: examples, escapes, variables, files, exit status
types     the types of the options
"""

from __future__ import annotations
