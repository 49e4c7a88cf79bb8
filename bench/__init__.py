"""The benchmark: compares Medusa's speed with that of other relays. `python -m bench -h` shows the options."""
