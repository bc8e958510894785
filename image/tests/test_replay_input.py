"""The real frames that the boot test replays."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from fieldtap_image import replay_input

SOURCE = Path(__file__).parents[2]


def test_the_corpora_give_enough_frames_that_fit_the_link() -> None:
    folder = replay_input.corpora(SOURCE)
    if folder is None:
        pytest.skip("no captures in $FIELDTAP_CORPORA or ../shared/corpora")
    if shutil.which("editcap") is None:
        pytest.skip("editcap is not installed")
    frames, _ = replay_input.from_corpora(folder)
    assert len(frames) >= replay_input.FRAMES_MIN
    assert all(replay_input.fits(frame) for frame in frames)
    assert any(frame[12:14] == b"\x81\x00" for frame in frames)


@pytest.mark.root
def test_without_corpora_real_programs_are_recorded() -> None:
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    for program in ("tcpdump", "ethtool", "ip", "editcap"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    frames, _ = replay_input.recorded()
    assert len(frames) >= replay_input.FRAMES_MIN
    assert all(replay_input.fits(frame) for frame in frames)


@pytest.mark.parametrize(
    ("size_bytes", "tag", "fits"),
    [
        (13, b"", False),
        (14, b"", True),
        (1514, b"", True),
        (1515, b"", False),
        (1518, b"\x81\x00", True),
        (1519, b"\x81\x00", False),
        (1518, b"\x88\xa8", False),
    ],
)
def test_a_frame_fits_when_the_kernel_would_send_it(
    size_bytes: int, tag: bytes, fits: bool
) -> None:
    frame = (bytes(12) + tag).ljust(size_bytes, b"\0")[:size_bytes]
    assert replay_input.fits(frame) is fits
