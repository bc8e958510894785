"""Listens at PORT beside whatever else does: writes when each frame came and how it ends to FILE.

A line a frame: the kernel's stamp in nanoseconds UTC, and the last 16 bytes. It ends by SIGTERM,
when what was queued is written, and prints how many frames it missed. It uses nothing of the
project.
"""

import select
import signal
import socket
import struct
import sys
from pathlib import Path

ALL_PROTOCOLS = 3
SO_RCVBUFFORCE, SO_TIMESTAMPNS = 33, 35
SOL_PACKET, PACKET_STATISTICS, PACKET_IGNORE_OUTGOING = 263, 6, 23
BUFFER_BYTES = 64 << 20
SIGNATURE_BYTES = 16


def main() -> None:
    ended: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: ended.append(number))
    with (
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as port,
        Path(sys.argv[2]).open("w") as file,
    ):
        port.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES)
        port.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        port.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        port.bind((sys.argv[1], ALL_PROTOCOLS))
        print("listening", flush=True)
        while True:
            if not select.select([port], [], [], 0.05)[0]:
                if ended:
                    break
                continue
            try:
                frame, controls, _, _ = port.recvmsg(65535, 64)
            except OSError:  # the port was removed
                break
            seconds, ns = struct.unpack("qq", controls[0][2])
            file.write(f"{seconds * 1_000_000_000 + ns} {frame[-SIGNATURE_BYTES:].hex()}\n")
        _, missed = struct.unpack("II", port.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
    print(missed)


main()
