"""Reading the frames of the stamped sender from captures, sharing no line with our reader."""

import itertools
import os
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fieldlab import tool

HEADER = bytes.fromhex("02000000000202000000000188b5")
FRAME_BYTES = 60
GOLDEN = 0x9E3779B97F4A7C15
MASK = (1 << 64) - 1

SECTION, PACKET = 0x0A0D0D0A, 6
EPB_DROPCOUNT = 4
PCAP_MAGICS = (0xA1B23C4D, 0xA1B2C3D4)


@dataclass
class Stream:
    """The stamped frames of one interface of a capture, in the order of the file."""

    numbers: list[int] = field(default_factory=list)
    stamps_ns: list[int] = field(default_factory=list)
    foreign: int = 0
    """Frames that the sender cannot have sent: a byte differs."""
    dropped: int = 0
    """Losses that the packets tell."""

    def add(self, frame: bytes, options: bytes = b"") -> None:
        number, stamp_ns, word = struct.unpack_from(">QQQ", frame.ljust(38, b"\0"), len(HEADER))
        sound = frame.startswith(HEADER) and word == (number * GOLDEN ^ stamp_ns) & MASK
        if sound and len(frame) >= FRAME_BYTES and not frame[38:].strip(b"\0"):
            self.numbers.append(number)
            self.stamps_ns.append(stamp_ns)
        else:
            self.foreign += 1
        if len(options) > 12:  # more than the flags: rare
            self.dropped += _drop_count(options)

    def extend(self, later: "Stream") -> None:
        self.numbers += later.numbers
        self.stamps_ns += later.stamps_ns
        self.foreign += later.foreign
        self.dropped += later.dropped

    @property
    def frames(self) -> int:
        return len(self.numbers) + self.foreign

    def gap(self) -> str | None:
        """Return where the numbers do not follow each other, or None."""
        for before, after in itertools.pairwise(self.numbers):
            if after != before + 1:
                return f"{after} comes after {before}"
        return None


def _drop_count(options: bytes) -> int:
    offset = 0
    while offset + 4 <= len(options):
        code, length = struct.unpack_from("<HH", options, offset)
        if code == EPB_DROPCOUNT:
            return int.from_bytes(options[offset + 4 : offset + 4 + length], "little")
        offset += 4 + (length + 3) // 4 * 4
    return 0


def read(*paths: Path) -> dict[int, Stream]:
    """Read captures of ours, pcapng or pcap, as one; return the streams by interface.

    AssertionError where the structure is not sound.
    """
    streams: dict[int, Stream] = {}
    for path in paths:
        data = path.read_bytes()
        walk = _walk_pcap if struct.unpack_from("<I", data)[0] in PCAP_MAGICS else _walk_pcapng
        for interface, frame, options in walk(data, path):
            if interface not in streams:
                streams[interface] = Stream()
            streams[interface].add(frame, options)
    return streams


def _walk_pcapng(data: bytes, path: Path) -> Iterator[tuple[int, bytes, bytes]]:
    offset, end = 0, len(data)
    assert struct.unpack_from("<I", data)[0] == SECTION, f"{path}: no section header"
    while offset < end:
        kind, length = struct.unpack_from("<II", data, offset)
        after = offset + length
        sound = length >= 12 and length % 4 == 0 and after <= end
        assert sound, f"{path}: block at byte {offset} of {end} claims {length} bytes"
        (repeated,) = struct.unpack_from("<I", data, after - 4)
        assert repeated == length, f"{path}: block at byte {offset}: {length} and {repeated} differ"
        if kind == PACKET:
            interface, _, _, kept = struct.unpack_from("<IIII", data, offset + 8)
            frame_end = offset + 28 + kept
            options = data[offset + 28 + (kept + 3) // 4 * 4 : after - 4]
            yield interface, data[offset + 28 : frame_end], options
        offset = after


def _walk_pcap(data: bytes, path: Path) -> Iterator[tuple[int, bytes, bytes]]:
    offset, end = 24, len(data)
    while offset < end:
        assert offset + 16 <= end, f"{path}: ends within a header"
        (kept,) = struct.unpack_from("<I", data, offset + 8)
        offset += 16 + kept
        assert offset <= end, f"{path}: ends within a frame"
        yield 0, data[offset - kept : offset], b""


def only_stream(*paths: Path) -> Stream:
    """Read captures in which one interface at most has frames."""
    streams = list(read(*paths).values())
    assert len(streams) <= 1, "frames on one interface only"
    return streams[0] if streams else Stream()


def complaints(path: Path) -> list[str]:
    """Return what tshark and tcpdump say on stderr as they copy a file, and exit codes but 0."""
    said = []
    for program in ("tshark", "tcpdump"):
        done = subprocess.run(
            [tool(program), "-r", path, "-w", os.devnull],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode != 0:
            said.append(f"{program}: exit code {done.returncode}")
        for line in done.stderr.splitlines():
            usual = line.startswith(("reading from file ", "Running as user"))
            said += [] if usual else [f"{program}: {line}"]
    return said
