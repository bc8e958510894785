"""A stand-in for a bad device between two links: IN_PORT OUT_PORT. It uses nothing of the project.

Of every 50 frames that come in, the 11th is not passed on, the 21st is passed on twice, the 31st
comes behind the 32nd, one bit near the end of the 41st is wrong, and a frame of nobody follows the
50th. Ends by SIGTERM.
"""

import socket
import sys

ETH_P_ALL = 3
SOL_PACKET, PACKET_IGNORE_OUTGOING, SO_RCVBUFFORCE = 263, 23, 33
RECEIVE_BUFFER_BYTES = 64 << 20
STRANGER = bytes.fromhex("02000000000302000000000488b5") + bytes(46)


def impaired(frame: bytes, turn: int, held: list[bytes]) -> list[bytes]:
    """Return what goes out for the frame of a turn; `held` carries one to the next turn."""
    if turn == 10:
        return []
    if turn == 20:
        return [frame, frame]
    if turn == 30:
        held.append(frame)
        return []
    if turn == 40:
        return [frame[:-3] + bytes([frame[-3] ^ 1]) + frame[-2:]]
    if turn == 49:
        return [frame, STRANGER]
    return [frame, held.pop()] if held else [frame]


def main() -> None:
    held: list[bytes] = []
    number = 0
    with (
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as incoming,
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as outgoing,
    ):
        incoming.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        incoming.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES)
        incoming.bind((sys.argv[1], ETH_P_ALL))
        outgoing.bind((sys.argv[2], 0))
        print("relaying", flush=True)
        while True:
            frame = incoming.recv(1 << 16)
            for passed_on in impaired(frame, number % 50, held):
                outgoing.send(passed_on)
            number += 1


main()
