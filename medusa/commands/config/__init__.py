"""The command `medusa config`: shows and edits the user's config file. This file imports nothing.

command  parses the arguments, then shows or edits the file
edit     creates the file and opens the user's editor
show     makes the lines that show the value of each option of mlogin, and where it came from
"""
