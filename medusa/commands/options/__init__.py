"""Parses the options of any program: from the command line, the environment and a config file.

parser       the parser of options, which every program uses
config_file  reads the text of a config file
"""
