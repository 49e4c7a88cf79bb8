"""The other relays, one small file each."""
