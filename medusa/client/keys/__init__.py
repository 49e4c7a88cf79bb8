"""An account and the private key that signs its requests.

account    who signs, and how requests are signed
keyfile    private keys in files
ssh_agent  private keys in an ssh-agent
"""
