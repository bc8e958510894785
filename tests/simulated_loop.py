"""Simulate a network with a loop: forward frames from one port to another, all but the first.

Afterwards the last one goes round and comes out again and again. Usage: FROM TO
"""

import contextlib
import socket
import sys

EVERY_S = 0.05


def main() -> None:
    """Forward until killed."""
    source = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    source.bind((sys.argv[1], 3))
    target = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    target.bind((sys.argv[2], 0))
    print("ready", flush=True)
    source.settimeout(None)
    last = source.recv(65536)
    source.settimeout(EVERY_S)
    while True:
        with contextlib.suppress(TimeoutError):
            last = source.recv(65536)
        target.send(last)


main()
