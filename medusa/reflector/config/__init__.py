"""The configuration of a reflector.

options     the options with their defaults, and what follows from them
checks      checks each option, and combinations of options
advertised  the form of the address at which other reflectors reach this one
timeouts    the times of a reflector that have no option
"""

from __future__ import annotations

from medusa.reflector.config.checks import FOREVER, ConfigError, verify
from medusa.reflector.config.options import EVERYBODY, ReflectorConfig
from medusa.reflector.config.timeouts import Timeouts

__all__ = ["EVERYBODY", "FOREVER", "ConfigError", "ReflectorConfig", "Timeouts", "verify"]
