"""The relays that Medusa is compared with, one small file for each."""
