"""A sender of numbered frames, for tests: PORT [COUNT]. It uses nothing of the project.

Frames have 60 bytes; the number, from 0, is the 64-bit word after the Ethernet header. Without
COUNT it sends until SIGTERM. The number of frames that the kernel took is printed at the end.
"""

import errno
import itertools
import signal
import socket
import struct
import sys

HEADER = bytes.fromhex("02000000000202000000000188b5")


def main() -> None:
    port, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else None
    ended: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: ended.append(number))
    sent = 0
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
        sender.bind((port, 0))
        print("sending", flush=True)
        for number in itertools.count():
            if ended or number == count:
                break
            send(sender, HEADER + struct.pack(">Q", number) + bytes(38))
            sent += 1
    print(sent)


def send(sender: socket.socket, frame: bytes) -> None:
    while True:
        try:
            sender.send(frame)
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
        else:
            return


main()
