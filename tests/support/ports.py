"""Free TCP ports for servers that tests start: below those that the kernel gives to outgoing connections.

A port from the kernel's own range may be taken by a client between now and the server's start.
"""

from __future__ import annotations

import random
import socket
from pathlib import Path

EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_port() -> int:
    """Return a TCP port of loopback that nobody listens on right now."""
    first = int(EPHEMERAL.read_text(encoding="ascii").split()[0]) if EPHEMERAL.exists() else 32_768
    below = range(max(1_024, first - 12_000), first)
    for _ in range(200):
        port = random.choice(below or range(20_000, 60_000))
        if _can_bind(port):
            return port
    raise OSError("no free TCP port was found; stop something that listens on many")


def _can_bind(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
