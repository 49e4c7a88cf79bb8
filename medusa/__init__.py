"""Medusa: interactive sessions for batch jobs. Imports nothing: the agent's archive rides on this package."""

__version__ = "0.1.0"
