"""The user's side of mlogin: standard input, output and error (descriptors 0 to 2), and signals.

console     a record of standard input, output, messages and signals
tty         standard input: window size, raw mode, suspending, foreground and background
read_ahead  reads the terminal while mlogin waits for something else
stdin       reads standard input without ever blocking
stdout      standard output that never blocks
messages    standard error: advisory text, errors, a spinner
signals     receives signals as events of a descriptor that can be polled
poll_set    polls descriptors, and tells the kernel only what has changed since the last round
"""
