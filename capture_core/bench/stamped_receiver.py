"""Receive frames on a port and print the kernel's stamp of each, nanoseconds, a line each.

Run as `stamped_receiver.py PORT`. It says "ready" once it receives. Frames stay in the socket until
a line comes on stdin, so that the receiver takes no processor time while they are sent.
"""

import contextlib
import socket
import struct
import sys

ETH_P_ALL = 3
SO_TIMESTAMPNS = 35
SO_RCVBUFFORCE = 33
BUFFER_BYTES = 256 << 20
TIMESPEC = struct.Struct("ll")


def receive(port: str) -> None:
    """Collect what comes until stdin says so, then print its stamps."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)) as receiver:
        receiver.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES)
        receiver.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        receiver.bind((port, ETH_P_ALL))
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()
        receiver.settimeout(0)
        with contextlib.suppress(BlockingIOError):
            while True:
                sys.stdout.write(f"{_next_stamp_ns(receiver)}\n")


def _next_stamp_ns(receiver: socket.socket) -> int:
    _, ancillary, _, _ = receiver.recvmsg(1, socket.CMSG_SPACE(TIMESPEC.size))
    seconds, nanoseconds = TIMESPEC.unpack(ancillary[0][2])
    return int(seconds) * 1_000_000_000 + int(nanoseconds)


if __name__ == "__main__":
    receive(sys.argv[1])
