"""The user's account at a reflector or a Manta, and the private keys that sign the account's requests.

A Manta is an object store that also runs jobs.

account     an account: signs requests
key_block   finds the private key in the text of a file
keyfile     signs with a private key in a file
keyring     finds the private key that signs: the one that the user names, or the first one that is accepted
legacy_pem  decrypts a private key in PEM, for the ciphers that are missing in `cryptography`
openssh     reads and decrypts a private key in OpenSSH's format
ssh_agent   signs with a private key in an ssh-agent
ssh_config  reads what the user's ssh_config says about keys for a host
ssh_string  strings in SSH's format
"""
