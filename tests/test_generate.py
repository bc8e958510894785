"""The generator tells what a device did to its frames, and does not tell what it cannot know."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from campaigns.measuring import device
from capturefile import write_pcap
from fieldlab import Json, Lab, ft_generate, lab, running, tool


@pytest.fixture
def loop() -> Iterator[Lab]:
    """A link whose two ends one generator can use."""
    with lab(together=True) as made:
        yield made


def generate(loop: Lab, *options: str | Path) -> Json:
    """Send from the left end; return the report."""
    argv = ft_generate("-o", f"afpacket:{loop.left.port}", *options)
    with running(loop.left, argv, name="gen", wait=False) as generator:
        return generator.finish()


def test_of_a_replay_only_the_number_that_came_back_is_told(loop: Lab, tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    write_pcap(path, [bytes(12) + b"\x88\xb5" + bytes([n]) * 46 for n in range(100)])
    with device(loop, tmp_path, {"seed": 1, "lost": 0.1, "doubled": 0.2}) as made:
        report = generate(loop, "-r", made.out.port, "--replay", path, "--rate", "1kpps")
    rx, done = report["rx"], made.done
    assert rx["duplicate"] is rx["reordered"] is rx["corrupt"] is None
    assert rx["frames"] == 100 - done["lost"] + done["doubled"] != 100
    assert rx["foreign"] == 0
    assert report["streams"] == []
    assert report["latency_ns"] is None


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
