"""A reader of capture files of the tests' own, that shares no line with the engine's.

It reads what ft-capture writes (pcapng, little-endian, one section) with every option that the
tests ask about. Files of others are first brought into one simple form by editcap.
"""

import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fieldlab import tool

SECTION, INTERFACE, PACKET, STATISTICS = 0x0A0D0D0A, 1, 6, 5
IF_NAME, IF_TSRESOL = 2, 9
EPB_FLAGS, EPB_DROPCOUNT = 2, 4
STATISTICS_NAMES = {4: "received", 5: "missed", 6: "accepted", 7: "os_drops", 8: "delivered"}
NSEC_PCAP_MAGIC = 0xA1B23C4D


@dataclass(frozen=True)
class Packet:
    """A packet block: `data` is what was kept of `length_bytes`; stamps are nanoseconds UTC."""

    interface: int
    stamp_ns: int
    length_bytes: int
    data: bytes
    flags: int | None
    dropped_before: int

    @property
    def direction(self) -> str:
        """The direction bits of the flags word, in words."""
        return {1: "in", 2: "out"}.get((self.flags or 0) & 3, "unknown")


@dataclass
class CaptureFile:
    """What a pcapng file holds; `statistics` are in file order, (interface, name to count)."""

    interfaces: list[str] = field(default_factory=list)
    packets: list[Packet] = field(default_factory=list)
    statistics: list[tuple[int, dict[str, int]]] = field(default_factory=list)

    @property
    def frames(self) -> list[bytes]:
        """The kept bytes of every frame, in order."""
        return [packet.data for packet in self.packets]

    def last_statistics(self, interface: int) -> dict[str, int]:
        """Return the last word of an interface."""
        return [counts for number, counts in self.statistics if number == interface][-1]


def read(path: Path) -> CaptureFile:
    """Read a whole file of ft-capture's. Raises AssertionError where a block is not sound."""
    capture = CaptureFile()
    for kind, body in _blocks(path.read_bytes()):
        if kind == INTERFACE:
            options = dict(_options(body[8:]))
            assert options[IF_TSRESOL] == b"\x09", "stamps are in nanoseconds"
            capture.interfaces.append(options[IF_NAME].decode())
        elif kind == PACKET:
            capture.packets.append(_packet(body))
        elif kind == STATISTICS:
            counts = {
                STATISTICS_NAMES[code]: int.from_bytes(value, "little")
                for code, value in _options(body[12:])
                if code in STATISTICS_NAMES
            }
            capture.statistics.append((struct.unpack_from("<I", body)[0], counts))
    return capture


def _blocks(data: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset < len(data):
        kind, length = struct.unpack_from("<II", data, offset)
        (repeated,) = struct.unpack_from("<I", data, offset + length - 4)
        assert length == repeated, f"block at byte {offset}: {length} and {repeated} differ"
        assert length % 4 == 0
        yield kind, data[offset + 8 : offset + length - 4]
        offset += length


def _options(data: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset + 4 <= len(data):
        code, length = struct.unpack_from("<HH", data, offset)
        if code == 0:
            return
        yield code, data[offset + 4 : offset + 4 + length]
        offset += 4 + (length + 3) // 4 * 4


def _packet(body: bytes) -> Packet:
    interface, high, low, kept, length = struct.unpack_from("<IIIII", body)
    options = dict(_options(body[20 + (kept + 3) // 4 * 4 :]))
    flags, dropped = options.get(EPB_FLAGS), options.get(EPB_DROPCOUNT, b"")
    return Packet(
        interface=interface,
        stamp_ns=high << 32 | low,
        length_bytes=length,
        data=body[20 : 20 + kept],
        flags=None if flags is None else int.from_bytes(flags, "little"),
        dropped_before=int.from_bytes(dropped, "little"),
    )


def frames_of_any(path: Path, scratch: Path) -> list[bytes] | None:
    """Return the frames of any capture that Wireshark's library reads, or None where it cannot.

    `scratch` is a file to be written over.
    """
    command = [tool("editcap"), "-F", "nsecpcap", str(path), str(scratch)]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        return None
    data = scratch.read_bytes()
    assert struct.unpack_from("<I", data)[0] == NSEC_PCAP_MAGIC
    frames, offset = [], 24
    while offset < len(data):
        kept = struct.unpack_from("<I", data, offset + 8)[0]
        frames.append(data[offset + 16 : offset + 16 + kept])
        offset += 16 + kept
    return frames


def write_pcap(path: Path, frames: list[bytes]) -> Path:
    """Write frames as a pcap file, a microsecond apart from second 1; return `path`."""
    parts = [struct.pack("<IHHiIII", NSEC_PCAP_MAGIC, 2, 4, 0, 0, 262144, 1)]
    for number, frame in enumerate(frames):
        stamp_ns = 1_000_000_000 + 1000 * number
        header = (*divmod(stamp_ns, 1_000_000_000), len(frame), len(frame))
        parts.append(struct.pack("<IIII", *header) + frame)
    path.write_bytes(b"".join(parts))
    return path


def complaints(path: Path) -> list[str]:
    """Return what capinfos and tcpdump say about a file beside their results: nothing if sound."""
    said = []
    for command in (["capinfos", "-M"], ["tcpdump", "-nn", "-r"]):
        done = subprocess.run(
            [tool(command[0]), *command[1:], path],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        lines = done.stderr.splitlines()
        said += [f"{command[0]}: {line}" for line in lines if not _is_expected(line)]
        if done.returncode != 0:
            said.append(f"{command[0]}: exit code {done.returncode}")
    return said


def _is_expected(line: str) -> bool:
    """Whether a line is one that tcpdump prints for every file."""
    return line.startswith(("reading from file ", "Warning: interface names"))
