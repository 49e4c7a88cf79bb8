"""The stand-in as a process: `python -m tests.manta SETTINGS`. It serves until its standard input ends."""

from __future__ import annotations

import asyncio
import sys

from tests.manta.server import Server
from tests.manta.settings import Settings


async def main(settings: Settings) -> None:
    async with Server(settings).listening() as url:
        print(url, flush=True)
        await _end_of_stdin()


async def _end_of_stdin() -> None:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()
    transport.close()


if __name__ == "__main__":
    asyncio.run(main(Settings.parse(sys.argv[1])))
