"""A stand-in for a device under test: IN OUT [SETTINGS], carries frames on and impairs some.

SETTINGS is a JSON object, with shares of all frames: `lost`, `doubled`, `held` (back behind up to
`depth` later ones), `damaged`, `tagged` (with two VLAN tags), `foreign` (followed by a frame of
somebody else); and `delay_ns`, `rate_pps` with a queue of `queue` frames, `flap_at` (the frame at
which the outgoing port goes down for `flap_s`), `seed`, `log` (a file).

It ends by SIGTERM and prints what it did as JSON, with what it did not get to see as `missed` and
what the outgoing port did not take as `refused`. The log has a line for each frame that went out,
in order: "own", "damaged" or "foreign", and when its sending began and ended, in nanoseconds UTC.
It uses nothing of the project.
"""

import fcntl
import json
import random
import select
import signal
import socket
import struct
import sys
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

ALL_PROTOCOLS = 3
SO_RCVBUFFORCE = 33
SOL_PACKET, PACKET_STATISTICS, PACKET_IGNORE_OUTGOING = 263, 6, 23
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
BUFFER_BYTES = 64 << 20
NS_PER_S = 1_000_000_000
QUIET_NS = 200_000_000
"""Then nothing comes any more that could overtake what is held."""
TAGS = bytes.fromhex("88a8000581000007")
FOREIGN_FRAME = bytes.fromhex("ffffffffffff02000000000388b5") + bytes(46)
UDP_AT, PAYLOAD_AT = 34, 42
SIGNATURE_BYTES, IDENTITY_BYTES = 16, 4
"""A test frame ends with a signature that begins with what tells it from foreign frames."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    lost: float = 0
    doubled: float = 0
    held: float = 0
    damaged: float = 0
    tagged: float = 0
    foreign: float = 0
    depth: int = 4
    delay_ns: int = 0
    rate_pps: float = 0
    queue: int = 100
    flap_at: int = 0
    flap_s: float = 0.2
    seed: int = 0
    log: str = ""


@dataclass
class Leaving:
    """A frame in the queue, and what became of it."""

    due_ns: int
    frame: bytes
    kind: str = "own"


@dataclass
class Held:
    """A frame that waits until so many others have overtaken it."""

    frame: bytes
    overtaking: int


def flip(frame: bytes, chance: random.Random) -> bytes:
    """Change a bit of the payload, but none of those by which the frame is recognised."""
    identity = range(len(frame) - SIGNATURE_BYTES, len(frame) - SIGNATURE_BYTES + IDENTITY_BYTES)
    at = chance.choice([at for at in range(PAYLOAD_AT, len(frame)) if at not in identity])
    return frame[:at] + bytes([frame[at] ^ 1 << chance.randrange(8)]) + frame[at + 1 :]


def rewrite(frame: bytes, chance: random.Random) -> bytes:
    """Damage the payload before the signature, and write a checksum that hides it."""
    at = chance.randrange(PAYLOAD_AT, len(frame) - SIGNATURE_BYTES - 2)
    changed = bytearray(frame)
    changed[at] ^= chance.randrange(1, 256)
    changed[UDP_AT + 6 : UDP_AT + 8] = bytes(2)
    pseudo = changed[26:34] + bytes([0, 17]) + changed[UDP_AT + 4 : UDP_AT + 6]
    summed = pseudo + changed[UDP_AT:] + bytes(len(changed) % 2)
    total = sum(struct.unpack(f">{len(summed) // 2}H", summed))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    changed[UDP_AT + 6 : UDP_AT + 8] = (total ^ 0xFFFF or 0xFFFF).to_bytes(2, "big")
    return bytes(changed)


@dataclass
class Device:
    settings: Settings
    source: socket.socket
    sink: socket.socket
    out: str
    chance: random.Random = field(default_factory=random.Random)
    done: dict[str, int] = field(default_factory=dict)
    leaving: deque[Leaving] = field(default_factory=deque)
    held: list[Held] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    frames_in: int = 0
    free_ns: int = 0
    up_again_ns: int = 0

    @classmethod
    def between(
        cls, source: socket.socket, sink: socket.socket, out: str, settings: Settings
    ) -> Self:
        kinds = "lost", "doubled", "held", "damaged", "tagged", "foreign", "queue_full", "refused"
        chance, done = random.Random(settings.seed), dict.fromkeys(kinds, 0)
        return cls(settings, source, sink, out, chance, done)

    def run(self, ended: list[int]) -> None:
        quiet_since_ns = time.time_ns()
        while not ended:
            wait_s = 0.05
            if self.leaving:
                wait_s = min(wait_s, max(0, self.leaving[0].due_ns - time.time_ns()) / NS_PER_S)
            if select.select([self.source], [], [], wait_s)[0]:
                self.take(self.source.recv(65535))
                quiet_since_ns = time.time_ns()
            elif self.held and time.time_ns() - quiet_since_ns > QUIET_NS:
                self.enqueue(self.held.pop(0).frame)
            self.flap()
            self.send_due(time.time_ns())
        self.send_due(sys.maxsize)

    def count_missed(self) -> None:
        _, missed = struct.unpack("II", self.source.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
        self.done["missed"] = missed

    def meets(self, kind: str) -> bool:
        share: float = getattr(self.settings, kind)
        happens = self.chance.random() < share
        self.done[kind] += happens
        return happens

    def take(self, frame: bytes) -> None:
        """Let a frame meet at most one misfortune."""
        self.frames_in += 1
        if self.meets("lost"):
            return
        if self.meets("held"):
            self.held.append(Held(frame, self.chance.randint(1, self.settings.depth)))
            return
        if self.meets("damaged"):
            hides = len(frame) >= 124 and self.chance.random() < 0.5
            self.enqueue((rewrite if hides else flip)(frame, self.chance), "damaged")
        elif self.meets("tagged"):
            self.enqueue(frame[:12] + TAGS + frame[12:])
        else:
            self.enqueue(frame)
            if self.meets("doubled"):
                self.enqueue(frame)
        if self.meets("foreign"):
            self.enqueue(FOREIGN_FRAME, "foreign")
        self.overtake()

    def overtake(self) -> None:
        for held in list(self.held):
            held.overtaking -= 1
            if held.overtaking == 0:
                self.held.remove(held)
                self.enqueue(held.frame)

    def enqueue(self, frame: bytes, kind: str = "own") -> None:
        due_ns = time.time_ns() + self.settings.delay_ns
        if self.settings.rate_pps:
            if len(self.leaving) >= self.settings.queue:
                self.done["queue_full"] += 1
                return
            due_ns = max(due_ns, self.free_ns)
            self.free_ns = due_ns + round(NS_PER_S / self.settings.rate_pps)
        self.leaving.append(Leaving(due_ns, frame, kind))

    def send_due(self, now_ns: int) -> None:
        while self.leaving and self.leaving[0].due_ns <= now_ns:
            leaving = self.leaving.popleft()
            before_ns = time.time_ns()
            try:
                self.sink.send(leaving.frame)
            except OSError:  # the port is down
                self.done["refused"] += 1
                continue
            self.log.append(f"{leaving.kind} {before_ns} {time.time_ns()}\n")

    def flap(self) -> None:
        if self.settings.flap_at and self.frames_in >= self.settings.flap_at:
            if not self.up_again_ns:
                self.up_again_ns = time.time_ns() + round(self.settings.flap_s * NS_PER_S)
                self.switch(up=False)
            elif 0 < self.up_again_ns < time.time_ns():
                self.up_again_ns = -1
                self.switch(up=True)

    def switch(self, *, up: bool) -> None:
        request = struct.pack("16sh14x", self.out.encode(), 0)
        (flags,) = struct.unpack_from("h", fcntl.ioctl(self.sink, SIOCGIFFLAGS, request), 16)
        flags = flags | IFF_UP if up else flags & ~IFF_UP
        fcntl.ioctl(self.sink, SIOCSIFFLAGS, struct.pack("16sh14x", self.out.encode(), flags))


def main() -> None:
    ended: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: ended.append(number))
    given: dict[str, Any] = json.loads(sys.argv[3]) if len(sys.argv) > 3 else {}
    settings = Settings(**given)
    with (
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as source,
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sink,
    ):
        source.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        with suppress(OSError):
            source.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES)
        source.bind((sys.argv[1], ALL_PROTOCOLS))
        sink.bind((sys.argv[2], 0))
        print("carrying", flush=True)
        device = Device.between(source, sink, sys.argv[2], settings)
        with suppress(OSError):  # a port was removed
            device.run(ended)
        device.count_missed()
    if settings.log:
        Path(settings.log).write_text("".join(device.log))
    print(json.dumps(device.done))


main()
