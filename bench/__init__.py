"""The benchmark: what README claims about speed, beside two other relays on the same wire. See `python -m bench -h`."""
