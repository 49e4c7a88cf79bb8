"""The user's side: the descriptors 0 to 2 and the signals of a terminal.

console   all of it in one record
tty       standard input: window size, raw mode, suspending
stdout    standard output that never blocks
messages  standard error: advisory text, errors, a spinner
signals   signals as events of a descriptor
poll_set  one poll object for a loop
"""
