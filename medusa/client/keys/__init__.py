"""Accounts, and the private keys that sign their requests.

account     an account: signs requests, finds its private key
key_block   finds the private key in the text of a file
keyfile     signs with a private key in a file
legacy_pem  decrypts a private key in PEM, for the ciphers that are missing in `cryptography`
openssh     reads and decrypts a private key in OpenSSH's format
ssh_agent   signs with a private key in an ssh-agent
ssh_string  strings in SSH's format
"""
