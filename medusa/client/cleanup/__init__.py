"""What the guard process does after mlogin was killed, apart from ending processes.

signed_request  an HTTP request that was signed in advance
tty_modes       the modes of a terminal, noted and restored
"""
