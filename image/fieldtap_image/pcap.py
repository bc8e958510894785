"""Classic pcap files, just enough to compare frames: read all of one, write one.

Independent of the engine on purpose: it judges what the engine wrote. Other formats go through
editcap first.
"""

from __future__ import annotations

import os
import struct
import tempfile
from collections.abc import Sequence
from pathlib import Path

from fieldtap_image.commands import run
from fieldtap_image.errors import ImageError

ETHERNET = 1
NANOSECOND_MAGIC = 0xA1B23C4D
MICROSECOND_MAGIC = 0xA1B2C3D4
FRAME_BYTES_MAX = 256 * 1024
NS_PER_S = 1_000_000_000


def frames_of(raw: bytes, name: str) -> list[bytes]:
    """The captured bytes of each frame, in file order.

    ImageError naming `name` when `raw` is no pcap of Ethernet, ends inside a frame or holds a frame
    that was cut short.
    """
    if len(raw) < 24:
        raise ImageError(f"{name}: too short for a pcap file")
    (magic,) = struct.unpack_from("<I", raw)
    order = "<" if magic in (NANOSECOND_MAGIC, MICROSECOND_MAGIC) else ">"
    (magic,) = struct.unpack_from(f"{order}I", raw)
    if magic not in (NANOSECOND_MAGIC, MICROSECOND_MAGIC):
        raise ImageError(f"{name}: not a pcap file")
    (link_type,) = struct.unpack_from(f"{order}I", raw, 20)
    if link_type & 0xFFFF != ETHERNET:
        raise ImageError(f"{name}: link type {link_type & 0xFFFF}, not Ethernet")
    frames: list[bytes] = []
    at = 24
    while at < len(raw):
        if len(raw) - at < 16:
            raise ImageError(f"{name}: ends inside the header of frame {len(frames) + 1}")
        _, _, captured_bytes, original_bytes = struct.unpack_from(f"{order}IIII", raw, at)
        at += 16
        if captured_bytes > FRAME_BYTES_MAX or len(raw) - at < captured_bytes:
            raise ImageError(f"{name}: ends inside frame {len(frames) + 1}")
        if captured_bytes != original_bytes:
            raise ImageError(f"{name}: frame {len(frames) + 1} was cut short when it was captured")
        frames.append(raw[at : at + captured_bytes])
        at += captured_bytes
    return frames


def read(path: Path) -> list[bytes]:
    """The frames of a capture in any format that editcap reads; ImageError as for `frames_of`."""
    with tempfile.NamedTemporaryFile(suffix=".pcap") as plain:
        run(["editcap", "-F", "nsecpcap", path, plain.name], timeout_s=120)
        return frames_of(Path(plain.name).read_bytes(), os.fspath(path))


def write(path: Path, frames: Sequence[bytes], *, step_ns: int) -> None:
    """Write `frames` as Ethernet, stamped `step_ns` apart from 2020-01-01 on."""
    start_ns = 1_577_836_800 * NS_PER_S
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", NANOSECOND_MAGIC, 2, 4, 0, 0, FRAME_BYTES_MAX, ETHERNET))
        for number, frame in enumerate(frames):
            seconds, nanoseconds = divmod(start_ns + number * step_ns, NS_PER_S)
            file.write(struct.pack("<IIII", seconds, nanoseconds, len(frame), len(frame)))
            file.write(frame)
