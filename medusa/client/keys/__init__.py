"""Accounts, and the private keys that sign their requests.

account    an account: signs requests, finds its private key
keyfile    signs with a private key in a file
ssh_agent  signs with a private key in an ssh-agent
"""
