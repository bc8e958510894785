"""Streams cross a real link: each is accounted for by itself, and late frames as was asked."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fieldlab import Json, Lab, ft_generate, lab, program, running, wait_until

STOPPED_S = 0.3
"""How long the generator gets no processor; what is due meanwhile is late."""

MIXED = """
rate = "3kpps"

[[stream]]
name = "voice"
vlan = { id = 7, priority = 5 }
size = 200
count = 300

[[stream]]
name = "six"
ipv6 = { flow_label = { random = [0, 1048575] } }
tcp = { source_port = { random = [1024, 65535] } }
size = { random = [96, 1400] }
count = 700

[[stream]]
name = "labelled pings"
mpls = [{ label = 100 }, { label = 200 }]
icmp = { sequence = { count = [0, 65535] } }
burst = 5
count = 200

[[stream]]
name = "without IP"
ethernet = { type = 0x88b5 }
size = 512
pacing = "poisson"
count = 100

[[stream]]
name = "noise"
signature = false
count = 150
"""


@pytest.fixture
def loop() -> Iterator[Lab]:
    with lab(together=True) as made:
        yield made


def generate(loop: Lab, toml: str, folder: Path, *options: str) -> Json:
    path = folder / "streams.toml"
    path.write_text(toml)
    argv = ft_generate("-o", loop.left.port, "-r", loop.right.port, "--streams", path, *options)
    with running(loop.left, argv, name="gen", wait=False) as generator:
        return generator.finish()


def test_each_stream_is_accounted_for_by_itself(loop: Lab, tmp_path: Path) -> None:
    report = generate(loop, MIXED, tmp_path)
    counts = [(s["id"], s["name"], s["tx"], s["rx"], s["lost"]) for s in report["streams"]]
    assert counts == [
        (0, "voice", 300, 300, 0),
        (1, "six", 700, 700, 0),
        (2, "labelled pings", 200, 200, 0),
        (3, "without IP", 100, 100, 0),
        (4, "noise", 150, None, None),
    ]
    for stream in report["streams"][:4]:
        assert stream["duplicate"] == stream["reordered"] == stream["corrupt"] == 0
    assert report["tx"]["frames"] == 1450
    assert report["rx"]["lost"] == 0
    assert report["rx"]["foreign"] == 150
    assert report["stop_reason"] == "count"


def test_the_summary_says_that_unsigned_frames_are_among_those_of_others(
    loop: Lab, tmp_path: Path
) -> None:
    path = tmp_path / "streams.toml"
    path.write_text(MIXED)
    argv = ("-o", loop.left.port, "-r", loop.right.port, "--streams", path)
    words = loop.left.run(program("ft-generate"), *argv).stderr
    assert "0 corrupt, 150 unsigned or of others" in words


def test_streams_without_a_signature_are_counted_all_together(loop: Lab, tmp_path: Path) -> None:
    toml = '[[stream]]\nsignature = false\nrate = "2kpps"\n'
    report = generate(loop, toml, tmp_path, "--count", "500")
    assert report["rx"]["frames"] == 500
    assert report["rx"]["lost"] == 0
    assert report["rx"]["duplicate"] is None
    (stream,) = report["streams"]
    assert (stream["tx"], stream["rx"], stream["lost"]) == (500, None, None)


def test_of_streams_that_nobody_receives_the_report_tells_what_was_sent(
    loop: Lab, tmp_path: Path
) -> None:
    path = tmp_path / "streams.toml"
    path.write_text(MIXED)
    argv = ft_generate("-o", loop.left.port, "--streams", path)
    with running(loop.left, argv, name="gen", wait=False) as generator:
        report = generator.finish()
    told = [(s["name"], s["tx"], s["rx"], s["lost"]) for s in report["streams"]]
    sent = {"voice": 300, "six": 700, "labelled pings": 200, "without IP": 100, "noise": 150}
    assert told == [(name, frames, None, None) for name, frames in sent.items()]


def late(loop: Lab, *options: str) -> Json:
    """A run at 2000 frames a second for two seconds that is halted in between."""
    argv = ft_generate("-o", loop.left.port, "--rate", "2kpps", "--count", "4000", *options)
    with running(loop.left, argv, name="gen") as generator:
        wait_until("it sends", lambda: generator.status()["tx"]["submitted"] > 100)
        generator.send_signal(signal.SIGSTOP)
        time.sleep(STOPPED_S)
        generator.send_signal(signal.SIGCONT)
        return generator.finish()


def test_a_late_sender_catches_up_and_counts_what_was_late(loop: Lab) -> None:
    tx = late(loop)["tx"]
    assert tx["frames"] == 4000
    assert tx["late"]["policy"] == "catch-up"
    assert tx["late"]["frames"] > 0
    assert tx["late"]["skipped"] == tx["late"]["slid_ns"] == 0
    assert tx["late_max_ns"] > tx["late"]["above_ns"]


def test_a_late_sender_can_leave_frames_out_and_the_run_is_not_valid(loop: Lab) -> None:
    report = late(loop, "--late", "skip")
    tx = report["tx"]
    assert tx["late"]["skipped"] > 0
    assert tx["frames"] + tx["late"]["skipped"] == 4000
    assert report["valid"] is False
    assert "frames were late and were left out" in report["invalid_reason"]


def test_a_late_sender_can_let_the_rest_of_its_schedule_slide(loop: Lab) -> None:
    report = late(loop, "--late", "slide")
    tx = report["tx"]
    assert "the rate fell short" in report["invalid_reason"]
    assert tx["frames"] == 4000
    assert tx["late"]["skipped"] == 0
    assert tx["late"]["slid_ns"] > tx["late"]["above_ns"]
