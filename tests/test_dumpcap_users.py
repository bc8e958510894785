"""Dumpcap users are at home: Wireshark's own capture test-suite, with our engine as its dumpcap.

Run at one end of a lab link, so that the loopback that it captures on is nobody else's. A case that
does not apply stands in `NOT_APPLICABLE` with the reason; the suite has no others.
"""

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import capturefile
import pytest
import wireshark_suite
from fieldlab import END_TIMEOUT_S, Engine, Lab, ft_capture, running

CASES = [
    "test_dumpcap_capture_10_packets_to_file",
    "test_dumpcap_capture_10_packets_to_stdout",
    "test_dumpcap_capture_from_fifo",
    "test_dumpcap_capture_from_stdin",
    "test_dumpcap_capture_snapshot_len",
    "test_dumpcap_autostop_filesize",
    "test_dumpcap_autostop_packets",
    "test_dumpcap_ringbuffer_filesize",
    "test_dumpcap_ringbuffer_packets",
    "test_dumpcap_invalid_chars",
    "test_dumpcap_valid_chars",
    "test_dumpcap_interface_chars",
    "test_dumpcap_invalid_capfilter",
    "test_dumpcap_invalid_interface_name",
    "test_dumpcap_invalid_interface_index",
    "test_tshark_capture_10_packets_to_file",
    "test_tshark_capture_10_packets_to_stdout",
    "test_tshark_capture_from_fifo",
    "test_tshark_capture_from_stdin",
    "test_tshark_capture_snapshot_len",
    "test_tshark_interface_chars",
    "test_tshark_invalid_capfilter",
    "test_tshark_invalid_interface_name",
    "test_tshark_invalid_interface_index",
]

MIXED = (
    "feeds interfaces of several link types and asks for foreign section headers as they are; "
    "our files have one link type a section, as libpcap demands, and headers of their own"
)
NOT_APPLICABLE = {
    "test_dumpcap_pcapng_single_in_single_out": MIXED,
    "test_dumpcap_pcapng_single_in_multi_out": MIXED,
    "test_dumpcap_pcapng_multi_in_single_out": MIXED,
    "test_dumpcap_pcapng_multi_in_multi_out": MIXED,
    "test_tshark_extcap_interfaces": "asks tshark for its own plug-ins; no dumpcap runs",
    "test_wireshark_": "needs the graphical Wireshark",
}
"""Names, or how they begin, and reasons. What our engine does instead is tested below."""


@pytest.fixture(scope="module")
def suite() -> Path:
    return wireshark_suite.fetch()


@pytest.mark.parametrize("case", CASES)
def test_wiresharks_own_case_passes(link: Lab, tmp_path: Path, suite: Path, case: str) -> None:
    programs = wireshark_suite.programs(tmp_path / "programs")
    passed, words = wireshark_suite.run_case(link.right, suite, programs, case)
    assert passed, words


def test_every_case_that_drives_dumpcap_runs_or_has_a_reason_not_to(suite: Path) -> None:
    driving = wireshark_suite.cases_that_drive_dumpcap(suite)
    unheard = [case for case in driving if case not in CASES and not reason(case)]
    assert unheard == []
    assert set(CASES) <= set(driving)


def reason(case: str) -> str | None:
    """Return why a case does not apply, or None."""
    return next((why for name, why in NOT_APPLICABLE.items() if case.startswith(name)), None)


# --- several sections and interfaces of one link type ---------------------------------------------

ETHERNET = 1
NANOSECONDS = struct.pack("<HHB3xHH", 9, 1, 9, 0, 0)


def block(kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    length = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + length + body + length


def section(number: int, interfaces: int, count: int) -> bytes:
    """Return a section whose frames go round its interfaces and say which section is theirs."""
    parts = [block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))]
    described = struct.pack("<HHI", ETHERNET, 0, 262144) + NANOSECONDS
    parts += [block(1, described)] * interfaces
    for at, frame in enumerate(frames_of(number, count)):
        stamp = divmod(1_000_000_000 + 1000 * at, 1 << 32)
        head = struct.pack("<IIIII", at % interfaces, *stamp, len(frame), len(frame))
        parts.append(block(6, head + frame))
    return b"".join(parts)


def frames_of(number: int, count: int) -> list[bytes]:
    """Return frames that differ, of every length modulo 4."""
    return [struct.pack(">QQ", number, at) + bytes(60 + at % 4) for at in range(count)]


@contextmanager
def capturing_sections(
    link: Lab, folder: Path, inputs: list[bytes], *options: str | Path
) -> Iterator[Engine]:
    """Feed each input through a FIFO of its own to one capture."""
    ports: list[str] = []
    for number, data in enumerate(inputs):
        (folder / f"{number}.pcapng").write_bytes(data)
        os.mkfifo(folder / f"{number}.fifo")
        ports += ["-i", f"file:{folder / f'{number}.fifo'}"]
    fill = ["sh", "-c", 'exec cat "$1" >"$2"', "sh"]
    with running(link.right, ft_capture(*ports, *options), wait=False) as engine:
        writers = [
            link.left.start(*fill, folder / f"{number}.pcapng", folder / f"{number}.fifo")
            for number in range(len(inputs))
        ]
        yield engine
        for writer in writers:
            writer.kill()  # where the run ended before all was read
            writer.wait(END_TIMEOUT_S)


INPUTS = [section(1, 11, 640) + section(2, 3, 150), section(3, 2, 90)]
SENT = [frames_of(1, 640) + frames_of(2, 150), frames_of(3, 90)]


@pytest.mark.parametrize("count", [1, 2], ids=["one-input", "two-inputs"])
def test_sections_and_interfaces_of_fifos_arrive_whole_in_one_file(
    link: Lab, tmp_path: Path, count: int
) -> None:
    output = tmp_path / "x.pcapng"
    with capturing_sections(link, tmp_path, INPUTS[:count], "-w", output) as engine:
        report = engine.finish()
    packets = capturefile.read(output).packets
    for number, sent in enumerate(SENT[:count]):
        assert [one.data for one in packets if one.interface == number] == sent
    assert report["balanced"] is True
    assert capturefile.complaints(output) == []


@pytest.mark.parametrize("count", [1, 2], ids=["one-input", "two-inputs"])
def test_sections_and_interfaces_of_fifos_arrive_whole_in_ring_files(
    link: Lab, tmp_path: Path, count: int
) -> None:
    ring = ("-w", tmp_path / "ring.pcapng", "-b", "packets:53")
    with capturing_sections(link, tmp_path, INPUTS[:count], *ring) as engine:
        report = engine.finish()
    files = [Path(file["path"]) for file in report["files"]]
    assert sorted(tmp_path.glob("ring_*.pcapng")) == files
    captured = [capturefile.read(file).packets for file in files]
    assert {len(packets) for packets in captured[:-1]} == {53}
    assert 1 <= len(captured[-1]) <= 53
    for number, sent in enumerate(SENT[:count]):
        ours = [one.data for file in captured for one in file if one.interface == number]
        assert ours == sent
    assert report["balanced"] is True
    assert [line for file in files for line in capturefile.complaints(file)] == []


def test_a_ring_of_sections_ends_after_so_many_files(link: Lab, tmp_path: Path) -> None:
    ring = ("-w", tmp_path / "ring.pcapng", "-b", "packets:53", "-a", "files:2")
    with capturing_sections(link, tmp_path, INPUTS[:1], *ring) as engine:
        report = engine.finish()
    packets = [capturefile.read(Path(file["path"])).frames for file in report["files"]]
    assert [len(frames) for frames in packets] == [53, 53]
    assert packets[0] + packets[1] == SENT[0][:106]
    assert report["stop_reason"] == "files"
    assert report["balanced"] is True
