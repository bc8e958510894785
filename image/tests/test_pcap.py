"""The small reader that judges what the engine wrote."""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path

import pytest
from fieldtap_image import pcap
from fieldtap_image.errors import ImageError
from hypothesis import given
from hypothesis import strategies as st

FRAMES = st.lists(st.binary(max_size=200), max_size=20)


@given(FRAMES)
def test_what_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, frames: list[bytes]
) -> None:
    path = tmp_path_factory.mktemp("pcap") / "a.pcap"
    pcap.write(path, frames, step_ns=1_000)
    assert pcap.frames_of(path.read_bytes(), "a") == frames


@given(FRAMES)
def test_a_big_endian_file_is_read_too(frames: list[bytes]) -> None:
    raw = struct.pack(">IHHiIII", pcap.MICROSECOND_MAGIC, 2, 4, 0, 0, 65535, pcap.ETHERNET)
    raw += b"".join(struct.pack(">IIII", 0, 0, len(frame), len(frame)) + frame for frame in frames)
    assert pcap.frames_of(raw, "a") == frames


@given(st.binary(max_size=300))
def test_any_bytes_give_frames_or_one_clear_error(raw: bytes) -> None:
    header = struct.pack("<IHHiIII", pcap.NANOSECOND_MAGIC, 2, 4, 0, 0, 65535, pcap.ETHERNET)
    for candidate in (raw, header + raw):
        with contextlib.suppress(ImageError):
            pcap.frames_of(candidate, "a.pcap")


@given(FRAMES.filter(bool), st.data())
def test_a_file_that_ends_early_is_refused(
    tmp_path_factory: pytest.TempPathFactory, frames: list[bytes], data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("pcap") / "a.pcap"
    pcap.write(path, frames, step_ns=1_000)
    raw = path.read_bytes()
    last_bytes = 16 + len(frames[-1])
    cut = data.draw(st.integers(1, last_bytes - 1))
    with pytest.raises(ImageError, match="ends inside"):
        pcap.frames_of(raw[:-cut], "a")


def test_a_frame_that_was_cut_short_is_refused() -> None:
    raw = struct.pack("<IHHiIII", pcap.NANOSECOND_MAGIC, 2, 4, 0, 0, 65535, pcap.ETHERNET)
    raw += struct.pack("<IIII", 0, 0, 2, 60) + b"ab"
    with pytest.raises(ImageError, match="frame 1 was cut short"):
        pcap.frames_of(raw, "a")


def test_a_link_type_other_than_ethernet_is_refused() -> None:
    raw = struct.pack("<IHHiIII", pcap.NANOSECOND_MAGIC, 2, 4, 0, 0, 65535, 113)
    with pytest.raises(ImageError, match="link type 113"):
        pcap.frames_of(raw, "a")


def test_stamps_ascend(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    pcap.write(path, [b"a"] * 3, step_ns=700_000_000)
    raw = path.read_bytes()
    stamps = [struct.unpack_from("<II", raw, 24 + 17 * number) for number in range(3)]
    assert stamps == sorted(set(stamps))
