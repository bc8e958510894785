"""Whatever spoils a trial makes it invalid and says why, or leaves no report: never a verdict."""

import ctypes
import errno
import os
import signal
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from campaigns.measuring import Device, device
from fieldlab import Engine, Json, Lab, ft_generate, lab, running, tool, wait_until

ENDLESS = ("--rate", "2kpps", "--duration", "60")


@pytest.fixture
def loop() -> Iterator[Lab]:
    """A link whose two ends one generator can use."""
    with lab(together=True) as made:
        yield made


@pytest.fixture
def behind(loop: Lab, tmp_path: Path) -> Iterator[Device]:
    """What is sent from the left end comes out of a device that does no harm."""
    with device(loop, tmp_path, {}) as made:
        yield made


@contextmanager
def trial(loop: Lab, port: str, *options: str) -> Iterator[Engine]:
    """A generator from the left end to `port`, whose first frames have come back."""
    argv = ft_generate("-o", loop.left.port, "-r", port, *options)
    with running(loop.left, argv, name="gen") as generator:
        wait_until("frames come back", lambda: generator.status()["rx"]["frames"] > 0)
        yield generator


def link(loop: Lab, *words: str) -> None:
    loop.left.run(tool("ip"), "link", *words)


def ended_badly(generator: Engine) -> Json:
    """Return the report of a generator that could not go on."""
    assert generator.wait() == 1
    report = generator.report()
    assert report["valid"] is False
    return report


def test_a_killed_generator_leaves_no_report(loop: Lab) -> None:
    with trial(loop, loop.right.port, *ENDLESS) as generator:
        generator.send_signal(signal.SIGKILL)
        assert generator.wait() == -signal.SIGKILL
        assert not generator.report_path.exists()


def test_a_port_that_is_removed_ends_the_trial_with_the_reason(loop: Lab, behind: Device) -> None:
    with trial(loop, behind.out.port, *ENDLESS) as generator:
        link(loop, "del", "ft-behind")
        report = ended_badly(generator)
    assert "port 'ft-out' is gone" in report["invalid_reason"]
    assert report["rx"]["frames"] > 0


def test_the_sending_port_removed_ends_the_trial_with_the_reason(loop: Lab, behind: Device) -> None:
    with trial(loop, behind.out.port, *ENDLESS) as generator:
        link(loop, "del", loop.left.port)
        report = ended_badly(generator)
    assert loop.left.port in report["invalid_reason"]


def test_an_unplugged_link_ends_the_trial_with_the_reason(loop: Lab) -> None:
    with trial(loop, loop.right.port, *ENDLESS) as generator:
        link(loop, "set", loop.right.port, "down")
        report = ended_badly(generator)
    assert "lost its link" in report["invalid_reason"]


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_link_that_was_down_for_a_moment_makes_the_trial_invalid(loop: Lab, side: str) -> None:
    end = getattr(loop, side)
    with trial(loop, loop.right.port, "--rate", "2kpps", "--duration", "2") as generator:
        link(loop, "set", end.port, "down")
        link(loop, "set", end.port, "up")
        report = generator.finish()
    assert report["valid"] is False
    assert f"the link of port {loop.left.port} went down" in report["invalid_reason"]


def test_a_receiving_port_whose_link_was_down_makes_the_trial_invalid(
    loop: Lab, behind: Device
) -> None:
    options = ("--rate", "2kpps", "--duration", "2")
    with trial(loop, behind.out.port, *options) as generator:
        link(loop, "set", "ft-behind", "down")
        link(loop, "set", "ft-behind", "up")
        report = generator.finish()
    assert report["valid"] is False
    assert "the link of port ft-out went down" in report["invalid_reason"]


def test_frames_that_a_flooded_receiver_dropped_are_not_blamed_on_the_link(
    loop: Lab, behind: Device
) -> None:
    options = ("--rate", "2kpps", "--duration", "6")
    flood = ft_generate("-o", "ft-behind", "--size", "1518", "--count", "80000")
    with trial(loop, behind.out.port, *options) as generator:
        generator.send_signal(signal.SIGSTOP)
        try:
            with running(loop.left, flood, name="flood", wait=False) as flooding:
                flooding.finish()
        finally:
            generator.send_signal(signal.SIGCONT)
        report = generator.finish()
    assert report["valid"] is False
    assert "too slow to receive" in report["invalid_reason"]
    assert report["rx"]["dropped"]["socket"] > 0
    assert report["rx"]["receiver_dropped"] >= report["rx"]["dropped"]["socket"]
    assert report["rx"]["foreign"] > 0
    assert report["rx"]["lost"] == 0


def nudge_clock() -> None:
    """Set the system clock forward by a microsecond and back again (adjtimex, ADJ_SETOFFSET)."""
    adj_setoffset, time_at = 0x0100, 72
    library = ctypes.CDLL(None, use_errno=True)
    for seconds, microseconds in ((0, 1), (-1, 999_999)):
        timex = bytearray(256)
        struct.pack_into("I", timex, 0, adj_setoffset)
        struct.pack_into("qq", timex, time_at, seconds, microseconds)
        if library.adjtimex((ctypes.c_char * len(timex)).from_buffer(timex)) < 0:
            number = ctypes.get_errno()
            if number == errno.EPERM:
                pytest.skip("may not set the clock")
            raise OSError(number, os.strerror(number))


def test_a_clock_that_was_set_leaves_the_counts_valid_and_no_latency(loop: Lab) -> None:
    options = ("--rate", "2kpps", "--duration", "1")
    with trial(loop, loop.right.port, *options) as generator:
        nudge_clock()
        report = generator.finish()
    assert report["latency_ns"] is None
    assert report["latency_unknown_reason"] == "the system clock was set during the run"
    assert report["rx"]["lost"] == 0
    said = [alarm["text"] for alarm in report["alarms"] if "clock was set" in alarm["text"]]
    assert said
    assert all(" 0.000000 s" not in text for text in said)


def test_a_running_trial_tells_streams_and_latency(loop: Lab) -> None:
    with trial(loop, loop.right.port, *ENDLESS) as generator:
        status = generator.status()
        generator.stop()
    (stream,) = status["streams"]
    assert stream["id"] == 0
    assert stream["rx"] > 0
    assert 0 < status["latency_ns"]["min"] <= status["latency_ns"]["p50"]
    assert "histogram" not in status["latency_ns"]


def test_queues_that_would_lose_the_order_are_refused(loop: Lab) -> None:
    argv = ft_generate("-o", loop.left.port, "-r", f"afpacket:{loop.right.port},queues=2")
    with running(loop.left, argv, name="gen", wait=False) as generator:
        assert generator.wait() == 2
        assert f"use -r afpacket:{loop.right.port}" in generator.words()


def test_the_summary_is_a_few_lines(loop: Lab) -> None:
    argv = [word for word in ft_generate("-o", loop.left.port) if word != "-q"]
    argv += ["-r", loop.right.port, "--count", "100", "--rate", "1kpps"]
    with running(loop.left, argv, name="gen", wait=False) as generator:
        generator.finish()
    lines = generator.words().splitlines()
    assert len(lines) <= 6
    assert any("latency" in line and "median" in line for line in lines)
