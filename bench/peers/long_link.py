"""A program that makes a long network link on this machine, out of real packets: two network namespaces, far apart.

It needs root, /dev/net/tun, iproute2 and util-linux. Between the two namespaces it holds each packet for a time, drops
some at random if asked to, and passes at most so many bytes a second. So TCP behaves as on a real long link. A proxy of
TCP connections can't show that: it has windows and buffers of its own at each end.

It prints `listening ADDRESS PID ADDRESS PID`: for each end its address, and a process in its namespace, for
`nsenter --net --target PID`. The link and the namespaces end with this program, however it ends.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import fcntl
import os
import random
import select
import struct
import subprocess
import sys
import time
from collections.abc import Iterator

ADDRESSES = ("10.77.0.1", "10.77.0.2")
"""The addresses of the two ends. They exist in the two namespaces only."""

PREFIX = "30"

_SET_DEVICE, _TUN, _NO_HEADER = 0x400454CA, 0x0001, 0x1000
"""The request TUNSETIFF of ioctl, and its flags IFF_TUN and IFF_NO_PI."""

MOST_AT_ONCE = 64
"""The maximum number of packets that are read before others are passed on."""

PACKET_SIZE = 65536


class Way:
    """The packets of one direction: when each of them arrives, or that it does not. Does no I/O and reads no clock.

    Args:
        delay: seconds that a packet takes.
        rate: bytes a second; 0 for no limit.
        queue: the most bytes that wait for the rate. A packet that finds more is dropped.
        loss: the probability that a packet is dropped.
        seed: of the random numbers by which packets are dropped.
    """

    def __init__(self, delay: float, rate: float, queue: int, loss: float, seed: int) -> None:
        self._delay, self._rate, self._queue, self._loss = delay, rate, queue, loss
        self._random = random.Random(seed)
        self._waiting: collections.deque[tuple[float, bytes]] = collections.deque()
        self._free_at = 0.0  # the time at which the last packet has passed the place with the limited rate

    def send(self, packet: bytes, now: float) -> None:
        """Adds a packet that was sent at the time `now`."""
        begin = max(now, self._free_at)
        if self._random.random() < self._loss or (begin - now) * self._rate > self._queue:
            return
        self._free_at = begin + (len(packet) / self._rate if self._rate else 0.0)
        self._waiting.append((self._free_at + self._delay, packet))

    def arrived(self, now: float) -> Iterator[bytes]:
        """Removes and returns the packets that have arrived by the time `now`."""
        while self._waiting and self._waiting[0][0] <= now:
            yield self._waiting.popleft()[1]

    def next_at(self) -> float:
        """Returns the time at which the next packet arrives. Infinity if none is on its way."""
        return self._waiting[0][0] if self._waiting else float("inf")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.peers.long_link", description=__doc__)
    parser.add_argument("--round-trip", type=float, default=0.1, help="seconds (%(default)s)")
    parser.add_argument("--rate", type=float, default=0.0, help="bytes a second each way; 0 for no limit (%(default)s)")
    parser.add_argument("--queue", type=int, default=2_000_000, help="bytes that wait for the rate (%(default)s)")
    parser.add_argument("--loss", type=float, default=0.0, help="the share of packets that are dropped (%(default)s)")
    parser.add_argument("--mtu", type=int, default=9000, help="the longest packet, in bytes (%(default)s)")
    return parser.parse_args()


def _device(name: str) -> int:
    """Makes a tun device, and returns the descriptor that its packets are read from and written to."""
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, _SET_DEVICE, struct.pack("16sH22x", name.encode(), _TUN | _NO_HEADER))
    return fd


@contextlib.contextmanager
def _namespace() -> Iterator[int]:
    """Context manager that makes a network namespace. Yields the pid of a process in it, which ends with this one."""
    program = "import sys; print(flush=True); sys.stdin.read()"
    command = ["unshare", "--net", sys.executable, "-c", program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            if not process.stdout.readline():
                sys.exit("no network namespace could be made")
            yield process.pid
        finally:
            process.stdin.close()


def _set_up(device: str, pid: int, address: str, mtu: int) -> None:
    """Moves the device into the namespace of the process `pid`, and gives it an address."""
    subprocess.run(["ip", "link", "set", device, "netns", str(pid)], check=True)
    for words in (
        ["addr", "add", f"{address}/{PREFIX}", "dev", device],
        ["link", "set", device, "mtu", str(mtu), "up"],
        ["link", "set", "lo", "up"],
    ):
        subprocess.run(["nsenter", "--net", f"--target={pid}", "ip", *words], check=True)


def _run(ways: dict[int, tuple[Way, int]]) -> None:
    """Passes packets on, for ever. `ways`: by the descriptor to read from, the way and the descriptor to write to."""
    poll = select.epoll()
    for fd in ways:
        poll.register(fd, select.EPOLLIN)
    while True:
        due = min(way.next_at() for way, _ in ways.values())
        for fd, _ in poll.poll(None if due == float("inf") else max(0.0, due - time.monotonic())):
            with contextlib.suppress(BlockingIOError):
                for _ in range(MOST_AT_ONCE):
                    ways[fd][0].send(os.read(fd, PACKET_SIZE), time.monotonic())
        for way, to in ways.values():
            for packet in way.arrived(time.monotonic()):
                with contextlib.suppress(OSError):  # a full device drops the packet, as a real link does
                    os.write(to, packet)


def main() -> None:
    """Makes the link, prints the line, and passes packets on until this process is ended by a signal."""
    options = _options()
    ends, pids = [], []
    with contextlib.ExitStack() as stack:
        for number, address in enumerate(ADDRESSES):
            device = f"long{os.getpid()}-{number}"
            ends.append(_device(device))
            pids.append(stack.enter_context(_namespace()))
            _set_up(device, pids[-1], address, options.mtu)
        print("listening", ADDRESSES[0], pids[0], ADDRESSES[1], pids[1], flush=True)
        there, back = (Way(options.round_trip / 2, options.rate, options.queue, options.loss, seed) for seed in (1, 2))
        _run({ends[0]: (there, ends[1]), ends[1]: (back, ends[0])})


if __name__ == "__main__":
    main()
