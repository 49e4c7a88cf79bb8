"""The relays that the reflector is measured beside, one small file each."""
