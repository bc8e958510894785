"""A replay sends the frames that were asked for, as often as asked, and does as it is told."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import capturefile
import pytest
from capturefile import write_pcap
from fieldlab import (
    Engine,
    Lab,
    call,
    capturing,
    client,
    ft_generate,
    lab,
    running,
    wait_until,
)

BAD_PARAMS = -32602
HEADER_BYTES = 24
FRAMES = [bytes.fromhex("0200c61300010200c612000188b5") + bytes([n]) * 50 for n in range(10)]
"""Ten frames, told apart by their payload."""


def arrived(link: Lab, tmp_path: Path, *options: str | Path) -> list[bytes]:
    """Replay over the link; return the frames that arrived."""
    output = tmp_path / "arrived.pcapng"
    argv = ft_generate("-o", f"afpacket:{link.left.port}", *options)
    with (
        capturing(link.right, output, "-d", "in") as engine,
        running(link.left, argv, name="gen", wait=False) as generator,
    ):
        report = generator.finish()
        engine.stop()
    assert report["valid"] is True, report["invalid_reason"]
    return capturefile.read(output).frames


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_pcap(tmp_path / "source.pcap", FRAMES)


@pytest.mark.parametrize(
    "timing", [[], ["--speed", "0.5"], ["--rate", "5kpps"], ["--rate", "1Mbps"], ["--rate", "max"]]
)
def test_every_timing_sends_each_frame_of_each_loop_once(
    link: Lab, tmp_path: Path, source: Path, timing: list[str]
) -> None:
    assert arrived(link, tmp_path, "--replay", source, "--loop", "3", *timing) == FRAMES * 3


def test_packets_times_and_a_filter_must_all_hold(link: Lab, tmp_path: Path, source: Path) -> None:
    options = ["--packets", "2-4,7-", "--to", "1.000009", "-f", "ether[14] != 3"]
    chosen = arrived(link, tmp_path, "--replay", source, *options)
    assert chosen == [FRAMES[number] for number in (1, 2, 6, 7, 8)]
    late = arrived(link, tmp_path, "--replay", source, "--from", "1970-01-01T00:00:01.000008Z")
    assert late == FRAMES[8:]


def test_a_count_ends_a_replay_without_end_inside_a_loop(
    link: Lab, tmp_path: Path, source: Path
) -> None:
    options = ["--loop", "0", "--count", "25", "--rate", "10kpps"]
    frames = arrived(link, tmp_path, "--replay", source, *options)
    assert frames == (FRAMES * 3)[:25]


def test_a_duration_ends_a_replay_without_end_and_is_no_shortfall(link: Lab, source: Path) -> None:
    argv = ft_generate("-o", f"afpacket:{link.left.port}", "--replay", source, "--loop", "0")
    with running(
        link.left, [*argv, "--duration", "0.2", "--rate", "1kpps"], name="gen", wait=False
    ) as generator:
        report = generator.finish()
    assert report["stop_reason"] == "duration"
    assert report["valid"] is True
    assert report["tx"]["frames"] > 0


def test_short_frames_are_sent_the_fast_way_by_a_port_that_takes_long_ones(source: Path) -> None:
    with lab(mtu_bytes=9216, together=True) as loop:
        argv = ft_generate("-o", loop.left.port, "--replay", source)
        with running(loop.left, argv, name="gen", wait=False) as generator:
            tx = generator.finish()["tx"]
    assert tx["backend"] == "afxdp", tx["refused"]


# --- read on the way ----------------------------------------------------------------------------


@contextmanager
def feeding(link: Lab, tmp_path: Path, *options: str) -> Iterator[tuple[Engine, BinaryIO]]:
    """A replay of a FIFO, and the FIFO's other end; the file's header is written."""
    fifo, header = tmp_path / "fifo", write_pcap(tmp_path / "empty.pcap", []).read_bytes()
    os.mkfifo(fifo)
    argv = ft_generate("-o", f"afpacket:{link.left.port}", "--replay", fifo, *options)
    with (
        running(link.left, argv, name="gen", wait=False) as generator,
        fifo.open("wb", buffering=0) as feed,
    ):
        feed.write(header)
        yield generator, feed


def record(stamp_us: int, frame: bytes) -> bytes:
    """Return one record of a pcap file with nanoseconds."""
    seconds, rest = divmod(stamp_us * 1000 + 1_000_000_000, 1_000_000_000)
    sizes = [seconds, rest, len(frame), len(frame)]
    return b"".join(size.to_bytes(4, "little") for size in sizes) + frame


def has_sent(generator: Engine, frames: int) -> bool:
    try:
        return bool(generator.status()["tx"]["submitted"] == frames)
    except (ConnectionError, FileNotFoundError):
        return False


def test_a_stream_slower_than_its_stamps_underruns_and_is_caught_up_with(
    link: Lab, tmp_path: Path
) -> None:
    with feeding(link, tmp_path) as (generator, feed):
        feed.write(record(0, FRAMES[0]) + record(300_000, FRAMES[1]))
        wait_until("the first two", lambda: has_sent(generator, 2))
        time.sleep(0.05)
        feed.write(record(300_001, FRAMES[2]))
        wait_until("the third", lambda: has_sent(generator, 3))
        feed.close()
        report = generator.finish()
    assert report["tx"]["underruns"] == 1
    assert report["tx"]["frames"] == 3
    assert report["valid"] is False
    assert "before it had been read" in report["invalid_reason"]


def test_a_stream_that_keeps_ahead_of_its_stamps_does_not_underrun(
    link: Lab, tmp_path: Path
) -> None:
    with feeding(link, tmp_path) as (generator, feed):
        feed.write(b"".join(record(100 * n, frame) for n, frame in enumerate(FRAMES)))
        feed.close()
        report = generator.finish()
    assert report["tx"]["underruns"] == 0
    assert report["tx"]["frames"] == len(FRAMES)


def test_a_stream_ends_a_run_with_what_was_sent_where_it_is_damaged(
    link: Lab, tmp_path: Path
) -> None:
    with feeding(link, tmp_path) as (generator, feed):
        feed.write(record(0, FRAMES[0]) + record(1, FRAMES[1])[:-1])
        feed.close()
        assert generator.wait() == 1
    assert "1 frames before that were sent" in generator.words()
    assert generator.report()["tx"]["frames"] == 1
    assert generator.report()["valid"] is False


def test_of_a_file_that_was_cut_short_the_whole_frames_are_sent(
    link: Lab, tmp_path: Path, source: Path
) -> None:
    cut = tmp_path / "cut.pcap"
    cut.write_bytes(source.read_bytes()[:-1])
    argv = ft_generate("-o", f"afpacket:{link.left.port}", "--replay", cut)
    with running(link.left, argv, name="gen", wait=False) as generator:
        assert generator.wait() == 1
    assert f"{len(FRAMES) - 1} frames before that were sent" in generator.words()
    assert generator.report()["tx"]["frames"] == len(FRAMES) - 1


def test_an_interrupt_ends_the_wait_for_a_stream_that_nobody_feeds(
    link: Lab, tmp_path: Path
) -> None:
    with feeding(link, tmp_path) as (generator, _):
        generator.send_signal(2)
        assert generator.wait() == 130


def test_stdin_cannot_be_looped(link: Lab) -> None:
    argv = ft_generate("-o", f"afpacket:{link.left.port}", "--replay", "-", "--loop", "2")
    command = link.left.command(*argv)
    done = subprocess.run(
        command, input="", capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 2
    assert "--loop" in done.stderr


# --- the rate, while it sends -------------------------------------------------------------------


@contextmanager
def looping(link: Lab, source: Path, *options: str) -> Iterator[Engine]:
    """A replay that goes on for a minute, unless it is stopped."""
    argv = ft_generate("-o", f"afpacket:{link.left.port}", "--replay", source, "--loop", "0")
    argv += ["--duration", "60", *options]
    with running(link.left, argv, name="gen") as generator:
        yield generator
        generator.stop()


def sent_so_far(generator: Engine) -> int:
    return int(generator.status()["tx"]["submitted"])


def test_a_pause_holds_frames_back_and_ends_where_it_began(link: Lab, source: Path) -> None:
    with looping(link, source, "--rate", "1kpps") as generator:
        wait_until("frames", lambda: sent_so_far(generator) > 0)
        assert call(generator.socket, "rate", paused=True) == {"speed": 1.0, "paused": True}
        time.sleep(0.05)
        held = sent_so_far(generator)
        time.sleep(0.2)
        assert sent_so_far(generator) == held
        assert generator.status()["tx"]["paused"] is True
        call(generator.socket, "rate", paused=False)
        wait_until("more frames", lambda: sent_so_far(generator) > held)


def test_a_new_rate_does_not_wait_for_a_frame_that_was_due_in_an_hour(
    link: Lab, tmp_path: Path
) -> None:
    path = tmp_path / "hours.pcap"
    header = write_pcap(path, []).read_bytes()
    path.write_bytes(header + record(0, FRAMES[0]) + record(3_600_000_000, FRAMES[1]))
    with running(
        link.left, ft_generate("-o", f"afpacket:{link.left.port}", "--replay", path), name="gen"
    ) as run:
        wait_until("the first", lambda: sent_so_far(run) == 1)
        call(run.socket, "rate", rate="1kpps")
        assert run.finish()["tx"]["frames"] == 2


def test_a_new_speed_holds_from_then_on(link: Lab, tmp_path: Path) -> None:
    path = tmp_path / "hours.pcap"
    header = write_pcap(path, []).read_bytes()
    path.write_bytes(header + record(0, FRAMES[0]) + record(3_600_000_000, FRAMES[1]))
    with running(
        link.left, ft_generate("-o", f"afpacket:{link.left.port}", "--replay", path), name="gen"
    ) as run:
        assert call(run.socket, "rate", speed=1e6) == {"speed": 1e6, "paused": False}
        assert run.finish()["tx"]["speed"] == 1e6


def test_the_rate_of_generated_frames_changes_in_the_unit_that_it_has(link: Lab) -> None:
    argv = ft_generate("-o", f"afpacket:{link.left.port}", "--rate", "1kpps", "--duration", "60")
    with running(link.left, argv, name="gen") as generator, client(generator.socket) as asking:
        assert asking.ask("rate", rate="2kpps")["result"] == {"speed": 2.0, "paused": False}
        refused = asking.ask("rate", rate="1Mbps")["error"]
        assert refused["code"] == BAD_PARAMS
        assert "unit" in refused["message"]
        generator.stop()


@pytest.mark.parametrize(
    "params", [{}, {"rate": 7}, {"rate": "fast"}, {"speed": 0}, {"speed": "2"}, {"paused": 1},
               {"speed": 1, "paused": True}],
)  # fmt: skip
def test_a_rate_that_is_none_is_refused_and_changes_nothing(
    link: Lab, source: Path, params: dict[str, object]
) -> None:
    with looping(link, source, "--rate", "1kpps") as generator:
        with client(generator.socket) as asking:
            assert asking.ask("rate", **params)["error"]["code"] == BAD_PARAMS
        assert generator.status()["tx"]["paused"] is False
        assert generator.status()["tx"]["speed"] == 1.0
