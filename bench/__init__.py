"""The benchmark: Medusa's speed beside other relays on the same wire. `python -m bench -h` has the options."""
