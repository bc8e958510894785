"""What is replayed onto a link and captured from it is the same bytes in the same order."""

import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import capturefile
import pytest
from capturefile import frames_of_any, write_pcap
from fieldlab import Engine, Lab, capturing, corpora, ft_generate, lab, running, tool

ETHERNET_HEADER_BYTES = 14
VLAN_TAG_BYTES = 4
VLAN_ETHERTYPES = (0x8100, 0x88A8)
MTU_BYTES = 65535
"""As much as a virtual link takes, so that nearly every capture fits it."""

MAX_FRAME_BYTES = MTU_BYTES + ETHERNET_HEADER_BYTES
EXPECTED_WARNING = "Running as user"
"""tshark says this to root for every file."""


@pytest.fixture
def wide_link() -> Iterator[Lab]:
    with lab(MTU_BYTES) as made:
        yield made


def reads_cleanly(path: Path) -> bool:
    """Whether tshark reads the file to its end and complains of nothing."""
    command = [tool("tshark"), "-n", "-r", str(path)]
    done = subprocess.run(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False
    )
    said = [line for line in done.stderr.splitlines() if not line.startswith(EXPECTED_WARNING)]
    return done.returncode == 0 and not said


def is_ethernet(path: Path) -> bool:
    """Whether capinfos takes the file for a capture whose frames are all Ethernet."""
    command = [tool("capinfos"), "-T", "-r", "-M", "-E", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    return done.returncode == 0 and done.stdout.rstrip("\n").endswith("\tether")


def crosses_the_link(frame: bytes) -> bool:
    """Whether the Linux kernel carries a frame over a virtual link.

    It takes a tag off before any socket sees the frame, and drops a frame whose tag, with the
    type behind it, is cut short (net/core/skbuff.c, skb_vlan_untag).
    """
    if not ETHERNET_HEADER_BYTES <= len(frame) <= MAX_FRAME_BYTES:
        return False
    tagged = int.from_bytes(frame[12:14], "big") in VLAN_ETHERTYPES
    return not tagged or len(frame) >= ETHERNET_HEADER_BYTES + VLAN_TAG_BYTES + 2


def replayable(path: Path, scratch: Path) -> list[bytes] | None:
    """Return the frames of a capture that can cross the link unchanged, else None."""
    if not is_ethernet(path) or not reads_cleanly(path):
        return None
    frames = frames_of_any(path, scratch)
    if not frames or not all(crosses_the_link(frame) for frame in frames):
        return None
    return frames


def replay(link: Lab, path: Path, engine: Engine) -> None:
    """Replay at top speed, but never faster than the capture keeps up."""
    argv = ft_generate("-o", link.left.port, "--replay", path, "--rate", "max")
    with running(link.left, argv, name="gen", wait=False) as generator:
        sent = generator.finish()
    assert sent["valid"] is True, (path, sent["invalid_reason"])
    assert engine.process.poll() is None


def assert_same(expected: dict[Path, list[bytes]], captured: list[bytes]) -> None:
    """Compare capture by capture, so that a difference names its file."""
    position = 0
    for path, frames in expected.items():
        assert captured[position : position + len(frames)] == frames, path
        position += len(frames)
    assert position == len(captured)


def test_every_ethernet_capture_of_the_corpora_crosses_the_link_unchanged(
    wide_link: Lab, tmp_path: Path
) -> None:
    files = [path for path in sorted(corpora().rglob("*")) if path.is_file()]
    scratches = [tmp_path / f"{number}.pcap" for number in range(len(files))]
    output, expected = tmp_path / "all.pcapng", {}
    with capturing(wide_link.right, output, "-d", "in") as engine, ThreadPoolExecutor(2) as pool:
        # The next files are judged while one is replayed.
        for path, frames in zip(files, pool.map(replayable, files, scratches), strict=True):
            if frames is not None:
                expected[path] = frames
                replay(wide_link, path, engine)
        report = engine.stop()
    capture = capturefile.read(output)
    assert_same(expected, capture.frames)
    assert all(packet.length_bytes == len(packet.data) for packet in capture.packets)
    assert report["lost"] == 0
    assert report["balanced"] is True
    assert capturefile.complaints(output) == []
    print(f"compared {len(expected)} captures, {len(capture.frames)} frames")


def odd_frames() -> list[bytes]:
    """Frames that a capture may get wrong: tags of every kind, jumbo, tiny, unusual types."""
    addresses = bytes.fromhex("0180c2000000 020000000002")
    tags = [
        "",
        "8100a005",
        "88a80064",
        "91000064",
        "810000648100000a",
        "88a80064810000c8",
        "81000000",
        "8100ffff",
        "810000018100000281000003",
        "88a8000188a80002",
    ]
    frames = []
    for tag in tags:
        start = addresses + bytes.fromhex(tag)
        for kind in ("0800", "86dd", "0806", "88b5", "002e", "8847", "8809", "0000", "ffff"):
            body = start + bytes.fromhex(kind)
            frames += [body + bytes([7]) * room for room in (2, 46, 111, 1482, 8900)]
    frames += [addresses + bytes.fromhex("88b5"), addresses + bytes.fromhex("88b5") + b"\0"]
    frames += [b"\xff" * 14, b"\0" * 14, b"\xff" * 60, b"\0" * 60]
    return [frame for frame in frames if crosses_the_link(frame)]


@pytest.mark.parametrize("snap", [[], ["-s", "262144"]], ids=["default", "largest-snap"])
def test_tagged_jumbo_tiny_and_odd_frames_cross_the_link_unchanged(
    wide_link: Lab, tmp_path: Path, snap: list[str]
) -> None:
    frames = odd_frames()
    source = write_pcap(tmp_path / "odd.pcap", frames)
    output = tmp_path / "x.pcapng"
    with capturing(wide_link.right, output, "-d", "in", *snap) as engine:
        replay(wide_link, source, engine)
        report = engine.stop()
    assert_same({source: frames}, capturefile.read(output).frames)
    assert report["lost"] == 0
    assert report["ports"][0]["wire"]["agrees"] is True
    assert capturefile.complaints(output) == []


def test_frames_sent_are_captured_unchanged_on_the_sending_port_too(
    wide_link: Lab, tmp_path: Path
) -> None:
    frames = odd_frames()
    source = write_pcap(tmp_path / "odd.pcap", frames)
    output = tmp_path / "x.pcapng"
    with capturing(wide_link.left, output, "-d", "out") as engine:
        replay(wide_link, source, engine)
        report = engine.stop()
    assert_same({source: frames}, capturefile.read(output).frames)
    assert report["balanced"] is True


def test_a_replay_that_keeps_the_files_timing_sends_the_same_frames(
    wide_link: Lab, tmp_path: Path
) -> None:
    frames = odd_frames()
    source = write_pcap(tmp_path / "odd.pcap", frames)
    output = tmp_path / "x.pcapng"
    with capturing(wide_link.right, output, "-d", "in") as engine:
        argv = ft_generate("-o", wide_link.left.port, "--replay", source)
        with running(wide_link.left, argv, name="gen", wait=False) as generator:
            generator.finish()
        engine.stop()
    assert_same({source: frames}, capturefile.read(output).frames)
