"""A walk over every block of a pcapng file, by the letter of the format and of our promises.

It shares nothing with the engine nor with the tests' readers, and takes nothing on trust: a length,
a padding byte or an option that is not as the specification (draft-ietf-opsawg-pcapng) has it
raises `MalformedError` with the offset. Chunks are ours: docs/architecture.md, "Files".
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

SECTION, INTERFACE, STATISTICS, PACKET = 0x0A0D0D0A, 1, 5, 6
MAGIC = 0x1A2B3C4D
ETHERNET = 1
COMMENT, END = 1, 0
DROPS, MARK, FILLER = 0x8002, 0x8003, 0x8004
ALIGNMENT, CHUNK_LIMIT = 4096, 4 << 20
MARK_BYTES = 48

TEXT = None
"""An option of any length, in UTF-8."""

SIZES: dict[int, dict[int, int | None]] = {
    SECTION: {COMMENT: TEXT, 2: TEXT, 3: TEXT, 4: TEXT},
    INTERFACE: {COMMENT: TEXT, 2: TEXT, 3: TEXT, 8: 8, 9: 1, 12: TEXT, 0x8001: TEXT},
    PACKET: {COMMENT: TEXT, 2: 4, 4: 8},
    STATISTICS: {2: 8, 3: 8, 4: 8, 5: 8, 6: 8, 7: 8, 8: 8, DROPS: 24, MARK: MARK_BYTES},
}
"""What each block may carry, and how long it is; a filter and filler are judged apart."""


class MalformedError(Exception):
    """A file that is not as it should be; says where and how."""


@dataclass(frozen=True)
class Chunk:
    """A run of blocks with its mark; offsets in the file."""

    offset: int
    size_bytes: int
    sequence: int
    session: bytes
    source: int
    synced_ns: int


@dataclass(frozen=True)
class Statistics:
    """A statistics block: its counts by option code, the three of `DROPS` apart."""

    interface: int
    time_ns: int
    counts: dict[int, int]
    drops: tuple[int, int, int] | None


@dataclass(frozen=True)
class Frame:
    """A packet block."""

    interface: int
    stamp_ns: int
    kept_bytes: int
    length_bytes: int
    flags: int
    dropped: int


@dataclass
class Walk:
    """What was met on the way, in file order."""

    interfaces: list[dict[int, bytes]] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    statistics: list[Statistics] = field(default_factory=list)
    chunks: list[Chunk] = field(default_factory=list)
    snap_bytes: int = 0
    tail_bytes: int = 0

    def last_word(self, interface: int) -> Statistics:
        """Return the last statistics of an interface."""
        return [one for one in self.statistics if one.interface == interface][-1]


def walk(path: Path, *, growing: bool = False, alignment: int = ALIGNMENT) -> Walk:
    """Walk a whole file. `growing`: whole chunks, then what is not written yet."""
    data = path.read_bytes()
    seen, offset, chunk_offset = Walk(), 0, 0
    while offset < len(data):
        if growing and not _is_whole(data, offset):
            break
        kind, body = _block(data, offset)
        if (offset == 0) != (kind == SECTION):
            raise MalformedError(f"byte {offset}: one section header, at the start")
        options = _take(seen, kind, body, offset)
        offset += len(body) + 12
        if MARK in options:
            chunk = _chunk(data[chunk_offset:offset], options[MARK], chunk_offset, alignment)
            seen.chunks.append(chunk)
            chunk_offset = offset
    seen.tail_bytes = len(data) - chunk_offset
    if not growing and seen.tail_bytes:
        raise MalformedError(f"byte {chunk_offset}: blocks after the last chunk")
    return seen


def _is_whole(data: bytes, offset: int) -> bool:
    if len(data) - offset < 12:
        return False
    length = int.from_bytes(data[offset + 4 : offset + 8], "little")
    return 12 <= length <= len(data) - offset


def _block(data: bytes, offset: int) -> tuple[int, bytes]:
    """Return the type and the body of the block at `offset`."""
    if len(data) - offset < 12:
        raise MalformedError(f"byte {offset}: {len(data) - offset} bytes are no block")
    kind, length = struct.unpack_from("<II", data, offset)
    if length % 4 or length < 12 or length > len(data) - offset:
        raise MalformedError(f"byte {offset}: a block of {length} bytes")
    (again,) = struct.unpack_from("<I", data, offset + length - 4)
    if again != length:
        raise MalformedError(f"byte {offset}: length {length} at the start, {again} at the end")
    return kind, data[offset + 8 : offset + length - 4]


def _take(seen: Walk, kind: int, body: bytes, offset: int) -> dict[int, bytes]:
    """Judge one block and keep what it says; return its options."""
    if kind == SECTION:
        return _section(body, offset)
    if kind == INTERFACE:
        return _interface(seen, body, offset)
    if kind == PACKET:
        return _packet(seen, body, offset)
    if kind == STATISTICS:
        return _statistics(seen, body, offset)
    raise MalformedError(f"byte {offset}: a block of type {kind:#x}")


def _section(body: bytes, offset: int) -> dict[int, bytes]:
    magic, major, minor, length = struct.unpack_from("<IHHq", body)
    if (magic, major, minor, length) != (MAGIC, 1, 0, -1):
        raise MalformedError(f"byte {offset}: section {magic:#x} {major}.{minor}, {length} bytes")
    return _options(SECTION, body[16:], offset)


def _interface(seen: Walk, body: bytes, offset: int) -> dict[int, bytes]:
    link_type, reserved, snap_bytes = struct.unpack_from("<HHI", body)
    if link_type != ETHERNET or reserved != 0:
        raise MalformedError(f"byte {offset}: link type {link_type}, reserved {reserved}")
    if seen.interfaces and snap_bytes != seen.snap_bytes:
        raise MalformedError(f"byte {offset}: snap length {snap_bytes} after {seen.snap_bytes}")
    if seen.frames or seen.statistics:
        raise MalformedError(f"byte {offset}: an interface after the first frame or statistics")
    options = _options(INTERFACE, body[8:], offset)
    if options.get(9) != b"\x09" or 2 not in options:
        raise MalformedError(f"byte {offset}: an interface without a name or nanoseconds")
    if COMMENT not in options or 0x8001 not in options:
        raise MalformedError(f"byte {offset}: an interface that hides where its stamps come from")
    seen.snap_bytes = snap_bytes
    seen.interfaces.append(options)
    return options


def _packet(seen: Walk, body: bytes, offset: int) -> dict[int, bytes]:
    interface, high, low, kept, length = struct.unpack_from("<IIIII", body)
    if interface >= len(seen.interfaces):
        raise MalformedError(f"byte {offset}: a frame of interface {interface}")
    if kept > length or kept > seen.snap_bytes or 20 + kept > len(body):
        raise MalformedError(f"byte {offset}: {kept} bytes kept of {length}")
    padded = kept + -kept % 4
    if any(body[20 + kept : 20 + padded]):
        raise MalformedError(f"byte {offset}: padding that is not zero")
    options = _options(PACKET, body[20 + padded :], offset)
    if 2 not in options:
        raise MalformedError(f"byte {offset}: a frame without flags")
    flags = int.from_bytes(options[2], "little")
    if flags & ~0x1F or flags & 3 == 3:
        raise MalformedError(f"byte {offset}: flags {flags:#x}")
    dropped = int.from_bytes(options.get(4, b""), "little")
    if 4 in options and dropped == 0:
        raise MalformedError(f"byte {offset}: a drop count of none")
    stamp_ns = high << 32 | low
    seen.frames.append(Frame(interface, stamp_ns, kept, length, flags, dropped))
    return options


def _statistics(seen: Walk, body: bytes, offset: int) -> dict[int, bytes]:
    interface, high, low = struct.unpack_from("<III", body)
    if interface >= len(seen.interfaces):
        raise MalformedError(f"byte {offset}: statistics of interface {interface}")
    options = _options(STATISTICS, body[12:], offset)
    counts = {
        code: int.from_bytes(options[code], "little") for code in range(4, 9) if code in options
    }
    drops = struct.unpack("<QQQ", options[DROPS]) if DROPS in options else None
    seen.statistics.append(Statistics(interface, high << 32 | low, counts, drops))
    return options


def _options(kind: int, data: bytes, offset: int) -> dict[int, bytes]:
    """Return the options of a block; each stands once, and the end of options is at the end."""
    found: dict[int, bytes] = {}
    for code, value in _option_list(data, offset):
        if code in found:
            raise MalformedError(f"byte {offset}: option {code:#x} twice")
        found[code] = value
        if (kind, code) in ((INTERFACE, 11), (STATISTICS, FILLER)):
            continue
        if code not in SIZES[kind]:
            raise MalformedError(f"byte {offset}: option {code:#x} in a block of type {kind:#x}")
        size = SIZES[kind][code]
        if size is TEXT:
            value.decode("utf-8")
        elif len(value) != size:
            raise MalformedError(f"byte {offset}: option {code:#x} of {len(value)} bytes")
    return found


def _option_list(data: bytes, offset: int) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        code, length = struct.unpack_from("<HH", data, at)
        if code == END:
            if length != 0 or at + 4 != len(data):
                raise MalformedError(f"byte {offset}: bytes after the end of options")
            return
        value, padding = data[at + 4 :][:length], data[at + 4 + length :][: -length % 4]
        if len(value) != length or len(padding) != -length % 4 or any(padding):
            raise MalformedError(f"byte {offset}: option {code:#x} leaves its block or its zeros")
        yield code, value
        at += 4 + length + len(padding)
    if data:
        raise MalformedError(f"byte {offset}: options without an end")


# --- chunks ---------------------------------------------------------------------------------------


def _chunk(data: bytes, mark: bytes, offset: int, alignment: int) -> Chunk:
    """Judge the chunk that `mark` ends."""
    sequence, session, length, source, synced_ns, _, crc = struct.unpack("<Q16sIIQII", mark)
    if length != len(data) or length > CHUNK_LIMIT or length % alignment or offset % alignment:
        raise MalformedError(f"byte {offset}: a chunk of {len(data)} bytes that says {length}")
    if data[-8:-4] != bytes(4) or data[-8 - MARK_BYTES : -8] != mark:
        raise MalformedError(f"byte {offset}: a chunk's mark is not its last option")
    if crc32c(data[:-12]) != crc:
        raise MalformedError(f"byte {offset}: a chunk's CRC32C is not {crc:#x}")
    return Chunk(offset, length, sequence, session, source, synced_ns)


def _crc_table() -> list[int]:
    table = list(range(256))
    for _ in range(8):
        table = [(value >> 1) ^ (0x82F63B78 if value & 1 else 0) for value in table]
    return table


_TABLE = _crc_table()


def crc32c(data: bytes) -> int:
    """Return the CRC of Castagnoli's polynomial, as iSCSI has it."""
    crc, table = 0xFFFFFFFF, _TABLE
    for octet in data:
        crc = crc >> 8 ^ table[(crc ^ octet) & 0xFF]
    return crc ^ 0xFFFFFFFF
