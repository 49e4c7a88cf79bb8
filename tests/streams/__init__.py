"""Part 3 of docs/protocol.md: its rules, their breaches, and two ends to try them on.

breaches      what a hostile peer sends, and the code that names it
record_rules  the rules of records
rule          the list of all rules
turn_rules    the rules of turns, of what may wait, and of frames that are cut
window_rules  the rules of windows
wire          records and frames as a peer builds and reads them
world         two ends of a stream, with links that are cut, and a model of what has to arrive
"""
