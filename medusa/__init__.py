"""Medusa: interactive sessions for batch jobs. Imports nothing, because the agent's archive contains this package."""

__version__ = "0.1.0"
