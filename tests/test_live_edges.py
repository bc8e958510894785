"""Captures started and stopped inside traffic that never pauses lose nothing at either edge."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import capturefile
from fieldlab import END_TIMEOUT_S, End, Json, Lab, call, capturing, wait_until

SENDER = Path(__file__).with_name("numbered_sender.py")
ROUNDS = 20


@contextmanager
def numbered_stream(end: End) -> Iterator[None]:
    """Numbered frames flow from `end` without a pause."""
    sender = end.start(sys.executable, SENDER, end.port, stdout=subprocess.PIPE)
    assert sender.stdout is not None
    sender.stdout.readline()
    yield
    assert sender.poll() is None, "the stream ended before the captures did"
    sender.terminate()
    sender.wait(END_TIMEOUT_S)


def numbers(frames: list[bytes]) -> list[int]:
    return [int.from_bytes(frame[14:22], "big") for frame in frames]


def capture_once(end: End, output: Path, turn: int) -> Json:
    """Capture, ended in turn at once or after some frames, by a signal or by a client."""
    with capturing(end, output) as engine:
        if turn % 2:
            wait_until("a frame is stored", lambda: engine.status()["ports"][0]["stored"])
        if turn % 3:
            return engine.stop()
        call(engine.socket, "stop")
        return engine.finish()


def assert_nothing_is_missing(report: Json, streams: list[list[int]]) -> None:
    """Each stream is whole from its first to its last number, and the ledger says the same.

    A stream of which a short capture saw nothing has neither.
    """
    streams = [seen for seen in streams if seen]
    for seen in streams:
        assert seen == list(range(seen[0], seen[0] + len(seen)))
    port = report["ports"][0]
    assert port["stored"] == sum(seen[-1] - seen[0] + 1 for seen in streams)
    assert report["lost"] == 0
    assert report["balanced"] is True
    assert port["wire"]["agrees"] is True


def test_twenty_captures_inside_one_running_stream_hold_every_number_from_first_to_last(
    link: Lab, tmp_path: Path
) -> None:
    output, total = tmp_path / "stream.pcapng", 0
    with numbered_stream(link.left):
        for turn in range(ROUNDS):
            report = capture_once(link.right, output, turn)
            seen = numbers(capturefile.read(output).frames)
            output.unlink()
            assert_nothing_is_missing(report, [seen])
            total += len(seen)
    print(f"{ROUNDS} captures, {total} frames")


def test_captures_inside_streams_both_ways_hold_every_number_of_each(
    link: Lab, tmp_path: Path
) -> None:
    output = tmp_path / "streams.pcapng"
    with numbered_stream(link.left), numbered_stream(link.right):
        for turn in range(0, ROUNDS, 2):
            report = capture_once(link.right, output, turn)
            packets = capturefile.read(output).packets
            output.unlink()
            streams = [
                numbers([packet.data for packet in packets if packet.direction == direction])
                for direction in ("in", "out")
            ]
            assert_nothing_is_missing(report, streams)
