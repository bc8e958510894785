"""The generator tells what a device did to its frames, and does not tell what it cannot know."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from capturefile import write_pcap
from fieldlab import CHECKOUT, Json, Lab, ft_generate, lab, running, tool

FRAMES = 10_000
RATE = "5kpps"
"""What a device written in Python carries without loss of its own."""


@pytest.fixture
def loop() -> Iterator[Lab]:
    """A link whose two ends one generator can use."""
    with lab(together=True) as made:
        yield made


@contextmanager
def device(loop: Lab) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """Put the stand-in behind the right end; yields the port where its frames come out."""
    ip = tool("ip")
    loop.left.run(ip, "link", "add", "ft-behind", "type", "veth", "peer", "name", "ft-out")
    for port in ("ft-behind", "ft-out"):
        loop.left.run(ip, "link", "set", port, "up")
    argv: list[str | Path] = [
        sys.executable,
        CHECKOUT / "tests/standin_device.py",
        loop.right.port,
        "ft-behind",
    ]
    process = loop.left.start(*argv, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"carrying\n"
        yield "ft-out", process
    finally:
        process.terminate()
        process.wait()


def generate(loop: Lab, *options: str | Path) -> Json:
    """Send from the left end; return the report."""
    argv = ft_generate("-o", loop.left.port, *options)
    with running(loop.left, argv, name="gen", wait=False) as generator:
        return generator.finish()


def test_what_a_device_did_to_numbered_frames_is_told_exactly(loop: Lab) -> None:
    options = ("--count", str(FRAMES), "--rate", RATE, "--size", "128")
    with device(loop) as (out, process):
        report = generate(loop, "-r", out, *options)
        process.terminate()
        assert process.stdout is not None
        done = json.loads(process.stdout.read())
    tx, rx = report["tx"], report["rx"]
    assert done["lost"] == FRAMES // 100
    assert tx["frames"] == FRAMES
    assert rx["duplicate"] == done["doubled"]
    assert rx["reordered"] == done["held"]
    assert rx["corrupt"] == done["damaged"]
    assert rx["foreign"] == done["foreign"]
    assert rx["lost"] == done["lost"] + done["damaged"]
    assert rx["receiver_dropped"] == 0
    assert rx["frames"] == FRAMES - done["lost"] - done["damaged"] + done["doubled"]
    assert report["valid"] is True
    assert report["streams"][0]["lost"] == rx["lost"]


def test_of_a_replay_only_the_number_that_came_back_is_told(loop: Lab, tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    write_pcap(path, [bytes(12) + b"\x88\xb5" + bytes([n]) * 46 for n in range(100)])
    with device(loop) as (out, _):
        rx = generate(loop, "-r", out, "--replay", path, "--rate", "1kpps")["rx"]
    assert rx["duplicate"] is rx["reordered"] is rx["corrupt"] is None
    assert rx["frames"] == 101  # one lost, one doubled, one of somebody else
    assert rx["foreign"] == 0


def test_a_rate_times_a_duration_is_a_number_of_frames(loop: Lab) -> None:
    report = generate(loop, "-r", loop.right.port, "--rate", "2kpps", "--duration", "0.5")
    assert report["tx"]["frames"] == report["rx"]["frames"] == 1000
    assert report["tx"]["requested_pps"] == 2000
    assert report["tx"]["bytes"] == 1000 * 60


def test_a_run_that_is_stopped_reports_what_it_sent_and_is_not_valid(loop: Lab) -> None:
    argv = ft_generate("-o", loop.left.port, "-r", loop.right.port, "--rate", "1kpps")
    with running(loop.left, argv, name="gen") as generator:
        report = generator.stop(signal.SIGTERM)
    assert report["valid"] is False
    assert "stopped" in report["invalid_reason"]
    assert report["tx"]["frames"] == report["rx"]["frames"]


def test_a_rate_that_the_port_cannot_keep_makes_the_run_invalid(loop: Lab) -> None:
    report = generate(loop, "--rate", "500Mpps", "--duration", "0.2")
    assert report["valid"] is False
    assert "rate" in report["invalid_reason"]


def test_a_link_that_goes_away_ends_the_run_with_the_reason(loop: Lab) -> None:
    argv = ft_generate("-o", loop.left.port, "--rate", "1kpps", "--duration", "60")
    with running(loop.left, argv, name="gen") as generator:
        loop.right.run(tool("ip"), "link", "set", loop.right.port, "down")
        assert generator.wait() == 1
        assert "lost its link" in generator.words()
        assert generator.report()["valid"] is False
