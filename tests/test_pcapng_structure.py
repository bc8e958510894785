"""What the engine writes holds to the letter of pcapng, and to the promises we add to it.

A walker that shares nothing with the project judges every block, tshark and tcpdump read every file
without a word, and the file's own last word is the report's.
"""

import json
import struct
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import capturefile
import pcapng_walk
import pytest
from fieldlab import (
    End,
    Json,
    Lab,
    capturing,
    ft_capture,
    ft_generate,
    lab,
    running,
    tool,
    wait_until,
)
from pcapng_walk import Walk, walk

SENDER = Path(__file__).with_name("numbered_sender.py")
NO_SOURCE = 0xFFFFFFFF
JUMBO_BYTES = 9000
UDP = bytes.fromhex(
    "020000000001020000000002 0800 4500002e000000004011 0000 c6120001c6130001 04000009001a0000"
)
"""Headers of a frame; the length of what follows them is free."""


def send(end: End, *frames: bytes) -> None:
    """Send frames as they are."""
    script = (
        "import socket, sys, json\n"
        "s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind((sys.argv[1], 0))\n"
        "[s.send(bytes.fromhex(f)) for f in json.load(sys.stdin)]"
    )
    with end.start(sys.executable, "-c", script, end.port, stdin=subprocess.PIPE) as process:
        process.communicate(json.dumps([frame.hex() for frame in frames]).encode())
        assert process.returncode == 0


def tagged(frame: bytes, *tags: str) -> bytes:
    return frame[:12] + b"".join(map(bytes.fromhex, tags)) + frame[12:]


def of_every_length() -> list[bytes]:
    """Frames of 60 to 123 bytes, so that every padding occurs, plain, tagged and double tagged."""
    plain = [UDP + bytes(range(1, 1 + length - len(UDP))) for length in range(60, 124)]
    return [
        *plain,
        *(tagged(frame, "8100a005") for frame in plain),
        *(tagged(frame, "88a80007", "8100a005") for frame in plain),
    ]


def assert_sound(report: Json) -> list[Walk]:
    """Every file is well formed and continues the one before; the last agrees with the report.

    Returns the walks, in order.
    """
    files = [Path(file["path"]) for file in report["files"]]
    walks = [walk(path) for path in files]
    assert [said for path in files for said in complaints(path)] == []
    for path, told, seen in zip(files, report["files"], walks, strict=True):
        assert_file_is_as_told(path, told, seen)
    assert_chunks_continue(walks)
    assert_last_word_is_the_reports(walks[-1], report)
    stored = sum(port["stored"] for port in report["ports"])
    assert sum(len(seen.frames) for seen in walks) == stored
    return walks


def complaints(path: Path) -> list[str]:
    """Return what tshark, tcpdump and capinfos say beside their results: nothing."""
    command = [tool("tshark"), "-n", "-Q", "-r", str(path), "-T", "fields", "-e", "frame.len"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = [f"tshark: {line}" for line in done.stderr.splitlines() if "as user" not in line]
    if done.returncode != 0:
        said.append(f"tshark: exit code {done.returncode}")
    return [*said, *capturefile.complaints(path)]


def assert_file_is_as_told(path: Path, told: Json, seen: Walk) -> None:
    stamps = [frame.stamp_ns for frame in seen.frames]
    assert told["size_bytes"] == path.stat().st_size
    assert told["packets"] == len(seen.frames)
    assert told["bytes"] == sum(frame.kept_bytes for frame in seen.frames)
    assert told["first_ns"] == (min(stamps) if stamps else None)
    assert told["last_ns"] == (max(stamps) if stamps else None)
    assert sum(later < earlier for earlier, later in pairwise(stamps)) <= told["late"]
    assert seen.chunks[0].source == NO_SOURCE
    assert all(chunk.source != NO_SOURCE for chunk in seen.chunks[1:-1])


def assert_chunks_continue(walks: list[Walk]) -> None:
    chunks = [chunk for seen in walks for chunk in seen.chunks]
    assert [chunk.sequence for chunk in chunks] == list(range(len(chunks)))
    assert len({chunk.session for chunk in chunks}) == 1
    assert any(chunks[0].session)


def assert_last_word_is_the_reports(seen: Walk, report: Json) -> None:
    """The last statistics of each port's first interface, of all interfaces for what was kept."""
    assert seen.chunks[-1].source == NO_SOURCE
    assert {one.interface for one in seen.statistics} == set(range(len(seen.interfaces)))
    told = [word for at in range(len(seen.interfaces)) if (word := seen.last_word(at)).drops]
    assert len(told) == len(report["ports"])
    for word, port in zip(told, report["ports"], strict=True):
        dropped = port["dropped"]
        assert word.counts[4] == port["offered"]
        assert word.counts[5] == dropped["adapter"]
        assert word.counts[6] == port["offered"] - port["filtered"]
        assert word.counts[7] == dropped["kernel"]
        assert word.drops == (dropped["ring"], dropped["disk"], port["excess"])
    assert report["balanced"] is True


def test_frames_of_every_padding_tag_and_direction_are_well_formed(
    link: Lab, tmp_path: Path
) -> None:
    frames = of_every_length()
    with capturing(link.right, tmp_path / "x.pcapng") as engine:
        send(link.left, *frames)
        send(link.right, *frames)
        report = engine.stop()
    (seen,) = assert_sound(report)
    assert [options[2] for options in seen.interfaces] == [b"ft-right:rx", b"ft-right:tx"]
    for interface, direction in enumerate((1, 2)):
        ours = [frame for frame in seen.frames if frame.interface == interface]
        assert [frame.length_bytes for frame in ours] == [len(frame) for frame in frames]
        assert {frame.flags & 3 for frame in ours} == {direction}
    assert [seen.last_word(at).counts[8] for at in range(2)] == [len(frames)] * 2


@pytest.mark.parametrize("snap_bytes", [0, 61, 262144])
def test_jumbo_frames_whole_or_cut_are_well_formed(tmp_path: Path, snap_bytes: int) -> None:
    frames = [UDP + bytes(length - len(UDP)) for length in (60, 1514, 1515, 4096, 9014)]
    with (
        lab(JUMBO_BYTES) as link,
        capturing(link.right, tmp_path / "x.pcapng", "-s", str(snap_bytes)) as engine,
    ):
        send(link.left, *frames)
        report = engine.stop()
    (seen,) = assert_sound(report)
    kept = snap_bytes or max(map(len, frames))
    assert [frame.length_bytes for frame in seen.frames] == [len(frame) for frame in frames]
    assert [frame.kept_bytes for frame in seen.frames] == [min(len(f), kept) for f in frames]


def test_losses_stand_on_the_frames_that_follow_them_and_in_the_last_word(
    link: Lab, tmp_path: Path
) -> None:
    sent = 400_000
    with capturing(link.right, tmp_path / "x.pcapng", "--buffer", "64KiB") as engine:
        link.left.run(*ft_generate("-o", link.left.port, "--count", str(sent), "--size", "64"))
        report = engine.stop()
    (seen,) = assert_sound(report)
    port = report["ports"][0]
    assert port["offered"] == sent
    assert report["lost"] > 0, "a ring this small always overflows"
    assert sum(frame.dropped for frame in seen.frames) <= report["lost"]


def test_a_run_over_several_files_is_one_unbroken_sequence(link: Lab, tmp_path: Path) -> None:
    ring = ("-b", "packets:500", "-f", "not udp")
    with capturing(link.right, tmp_path / "ring.pcapng", *ring) as engine:
        link.left.run(sys.executable, SENDER, link.left.port, "3210")
        send(link.left, *of_every_length())
        report = engine.stop()
    walks = assert_sound(report)
    assert [len(seen.frames) for seen in walks] == [500] * 6 + [338]
    assert report["ports"][0]["filtered"] > 0


def test_many_chunks_keep_to_their_size_and_place(link: Lab, tmp_path: Path) -> None:
    output = tmp_path / "x.pcapng"
    argv = ft_capture("-i", "synth:size=1518,flows=50,count=7000,seed=1", "-w", output)
    with running(link.right, argv, wait=False) as engine:
        report = engine.finish()
    (seen,) = assert_sound(report)
    assert len(seen.chunks) >= 4
    assert seen.chunks[-1].offset > 2 * pcapng_walk.CHUNK_LIMIT


def test_two_ports_have_interfaces_and_last_words_of_their_own(link: Lab, tmp_path: Path) -> None:
    link.right.run("ip", "link", "add", "near", "type", "veth", "peer", "name", "far")
    for name in ("near", "far"):
        link.right.run("ip", "link", "set", name, "up")
    argv = ft_capture("-i", "near", "-i", link.right.port, "-w", tmp_path / "x.pcapng")
    with running(link.right, argv) as engine:
        send(End(link.right.namespace, "far"), *of_every_length())
        link.left.run(sys.executable, SENDER, link.left.port, "1000")
        report = engine.stop()
    (seen,) = assert_sound(report)
    assert len(seen.interfaces) == 4
    assert {frame.interface for frame in seen.frames} == {0, 2}


def test_several_queues_of_a_port_and_a_session_are_well_formed_too(
    link: Lab, tmp_path: Path
) -> None:
    port = f"afpacket:{link.right.port},queues=2"
    argv = ft_capture("-i", port, "-w", f"{tmp_path}/session/", "-b", "packets:1000")
    with running(link.right, argv) as engine:
        flows = ("--size", "64", "--count", "4000", "--rate", "20kpps")
        link.left.run(*ft_generate("-o", link.left.port, *flows))
        send(link.left, *of_every_length())
        report = engine.stop()
    walks = assert_sound(report)
    assert [len(seen.frames) for seen in walks] == [1000] * 4 + [len(of_every_length())]
    assert {chunk.source for seen in walks for chunk in seen.chunks} == {0, 1, NO_SOURCE}


def test_an_idle_capture_goes_on_telling_its_counts(link: Lab, tmp_path: Path) -> None:
    partial = tmp_path / "x.pcapng.partial"
    with capturing(link.right, tmp_path / "x.pcapng") as engine:
        send(link.left, UDP + bytes(18))
        wait_until("the frame is in the file", lambda: walk(partial, growing=True).frames)
        before = len(walk(partial, growing=True).statistics)
        wait_until(
            "statistics come while no frame does",
            lambda: len(walk(partial, growing=True).statistics) >= before + 3,
        )
        report = engine.stop()
    assert_sound(report)


def test_a_stream_is_well_formed_too(link: Lab, tmp_path: Path) -> None:
    output = tmp_path / "stream.pcapng"
    with output.open("wb") as stdout, capturing(link.right, "-", stdout=stdout) as engine:
        send(link.left, *of_every_length())
        report = engine.stop()
    seen = walk(output, alignment=4)
    assert_chunks_continue([seen])
    assert_last_word_is_the_reports(seen, report)
    assert len(seen.frames) == report["ports"][0]["stored"] == len(of_every_length())
    assert complaints(output) == []


def test_a_filter_stands_in_the_interface_block(link: Lab, tmp_path: Path) -> None:
    with capturing(link.right, tmp_path / "x.pcapng", "-f", "udp port 9") as engine:
        send(link.left, *of_every_length())
        report = engine.stop()
    (seen,) = assert_sound(report)
    assert {options[11] for options in seen.interfaces} == {b"\0udp port 9"}


def test_pcap_is_in_nanoseconds_and_its_records_fill_the_file(link: Lab, tmp_path: Path) -> None:
    output, frames = tmp_path / "x.pcap", of_every_length()
    with capturing(link.right, output, "-F", "pcap", "-s", "100") as engine:
        send(link.left, *frames)
        report = engine.stop()
    data, at, seen = output.read_bytes(), 24, []
    assert struct.unpack_from("<IHHIIII", data) == (0xA1B23C4D, 2, 4, 0, 0, 100, 1)
    while at < len(data):
        seconds, ns, kept, length = struct.unpack_from("<IIII", data, at)
        assert ns < 1_000_000_000
        assert report["started_ns"] <= seconds * 1_000_000_000 + ns <= report["stopped_ns"]
        seen.append((data[at + 16 : at + 16 + kept], length))
        at += 16 + kept
    assert at == len(data)
    assert seen == [(frame[:100], len(frame)) for frame in frames]
    assert report["balanced"] is True
    assert complaints(output) == []
