"""A stand-in for a device under test: IN OUT, carries frames on and does to some what devices do.

Of each hundred frames one is lost, one doubled, one held back behind later ones, one damaged in its
payload, one given two VLAN tags, and one followed by a frame of somebody else. It ends by SIGTERM,
and prints what it did as JSON. It uses nothing of the project.
"""

import json
import select
import signal
import socket
import sys

ALL_PROTOCOLS = 3
SO_RCVBUFFORCE = 33
BUFFER_BYTES = 64 << 20
PAYLOAD_AT = 50
TAGS = bytes.fromhex("88a8000581000007")
FOREIGN_FRAME = bytes.fromhex("ffffffffffff02000000000388b5") + bytes(46)


def main() -> None:
    ended: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: ended.append(number))
    done = dict.fromkeys(("lost", "doubled", "held", "damaged", "tagged", "foreign"), 0)
    with (
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as source,
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sink,
    ):
        source.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES)
        source.bind((sys.argv[1], ALL_PROTOCOLS))
        sink.bind((sys.argv[2], 0))
        print("carrying", flush=True)
        held = b""
        number = 0
        while not ended:
            if not select.select([source], [], [], 0.05)[0]:
                continue
            frame, address = source.recvfrom(65535)
            if address[2] == socket.PACKET_OUTGOING:
                continue
            number += 1
            match number % 100:
                case 10:
                    done["lost"] += 1
                    continue
                case 20:
                    done["doubled"] += 1
                    sink.send(frame)
                case 30:
                    done["held"] += 1
                    held = frame
                    continue
                case 35:
                    sink.send(frame)
                    frame = held
                case 40:
                    done["damaged"] += 1
                    frame = damaged(frame)
                case 50:
                    done["tagged"] += 1
                    frame = frame[:12] + TAGS + frame[12:]
                case 60:
                    done["foreign"] += 1
                    sink.send(FOREIGN_FRAME)
            sink.send(frame)
    print(json.dumps(done))


def damaged(frame: bytes) -> bytes:
    return frame[:PAYLOAD_AT] + bytes([frame[PAYLOAD_AT] ^ 4]) + frame[PAYLOAD_AT + 1 :]


main()
