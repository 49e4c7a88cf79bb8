"""The program that `python -m medusa` runs: the same as the console script `medusa`."""

from __future__ import annotations

import sys

from medusa.commands.main import main

if __name__ == "__main__":
    sys.exit(main())
