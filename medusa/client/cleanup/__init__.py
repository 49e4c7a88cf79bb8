"""Code for the guard process, which cleans up after mlogin was killed.

emulator        undoes what a session's output has switched on in the terminal emulator
farewell        tells the agent that mlogin does not come back, if mlogin has ended without a connection
note            a short text in memory that a process shares with its forked child
signed_request  sends an HTTP request that mlogin has signed in advance
tty_modes       records and restores the modes of a terminal
undo            undoes what a killed mlogin has left: the entries of its ledger
"""
