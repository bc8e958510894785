"""One port shared among several threads: every frame is stored once, and a flow stays together."""

import signal
from collections import Counter, defaultdict
from pathlib import Path

import capturefile
import pytest
from fieldlab import Engine, Json, Lab, ft_capture, ft_generate, running

FLOWS = 200
FRAMES = 20_000
HEADERS = bytes.fromhex(
    "02000000000202000000000108004500002e0000400040110000c6120000c6130001000000090009001a"
)
SOURCE_ADDRESS, SOURCE_PORT, PAYLOAD = slice(26, 30), slice(34, 36), slice(42, 46)


def numbered(number: int) -> bytes:
    """Return a frame of one of the flows that no other frame equals."""
    flow = number % FLOWS
    frame = bytearray(HEADERS + bytes(18))
    frame[SOURCE_ADDRESS] = (0xC6120000 + flow).to_bytes(4, "big")
    frame[SOURCE_PORT] = (1024 + flow).to_bytes(2, "big")
    frame[PAYLOAD] = number.to_bytes(4, "big")
    return bytes(frame)


def number_of(frame: bytes) -> int:
    return int.from_bytes(frame[PAYLOAD], "big")


def replay(link: Lab, source: Path) -> Json:
    argv = ft_generate("-o", link.left.port, "--replay", source, "--rate", "50kpps")
    with running(link.left, argv, name="gen", wait=False) as generator:
        return generator.finish()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return capturefile.write_pcap(
        tmp_path / "source.pcap", [numbered(number) for number in range(FRAMES)]
    )


def assert_accounted_for(engine: Engine, sent: int) -> Json:
    report = engine.stop()
    port = report["ports"][0]
    assert port["offered"] == port["stored"] == sent
    assert report["balanced"] is True
    assert report["lost"] == 0
    assert port["wire"]["agrees"] is True
    return report


@pytest.mark.parametrize("queues", [2, 3])
def test_frames_of_many_flows_over_several_queues_are_each_stored_once(
    link: Lab, tmp_path: Path, source: Path, queues: int
) -> None:
    output = tmp_path / "x.pcapng"
    options = "-i", f"{link.right.port},queues={queues}", "-d", "in"
    with running(link.right, ft_capture("-w", output, *options)) as engine:
        replay(link, source)
        report = assert_accounted_for(engine, FRAMES)
    assert report["ports"][0]["queues"] == queues
    frames = capturefile.read(output).frames
    assert Counter(map(number_of, frames)) == Counter(range(FRAMES))
    flows: dict[int, list[int]] = defaultdict(list)
    for frame in frames:
        flows[number_of(frame) % FLOWS].append(number_of(frame))
    assert all(numbers == sorted(numbers) for numbers in flows.values()), "a flow keeps its order"


def test_frames_that_are_sent_do_not_count_for_received_ones_over_several_queues(
    link: Lab, tmp_path: Path, source: Path
) -> None:
    output = tmp_path / "x.pcapng"
    options = "-i", f"{link.left.port},queues=2", "-d", "in"
    with running(link.left, ft_capture("-w", output, *options)) as engine:
        replay(link, source)
        assert_accounted_for(engine, 0)


def test_both_directions_over_several_queues_keep_their_interfaces(
    link: Lab, tmp_path: Path, source: Path
) -> None:
    output = tmp_path / "x.pcapng"
    options = "-i", f"{link.left.port},queues=2"
    with running(link.left, ft_capture("-w", output, *options)) as engine:
        replay(link, source)
        assert_accounted_for(engine, FRAMES)
    packets = capturefile.read(output).packets
    assert {packet.direction for packet in packets} == {"out"}
    assert {packet.interface for packet in packets} == {1}


def test_losses_of_several_queues_add_up(link: Lab, tmp_path: Path, source: Path) -> None:
    output = tmp_path / "x.pcapng"
    options = "-i", f"{link.right.port},queues=2", "-d", "in", "--buffer", "64KiB"
    with running(link.right, ft_capture("-w", output, *options)) as engine:
        engine.send_signal(signal.SIGSTOP)
        try:
            replay(link, source)
        finally:
            engine.send_signal(signal.SIGCONT)
        report = engine.stop()
    port = report["ports"][0]
    assert port["offered"] == FRAMES
    assert port["stored"] + port["dropped"]["kernel"] == FRAMES
    assert port["dropped"]["kernel"] == report["lost"] > 0
    assert report["balanced"] is True
    assert port["wire"]["agrees"] is True
    assert len(capturefile.read(output).packets) == port["stored"]
