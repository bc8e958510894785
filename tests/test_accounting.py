"""Generator and capture, each with its own counting, agree on the fate of every frame."""

import signal
from collections.abc import Iterator
from pathlib import Path

import capturefile
import pytest
from fieldlab import (
    Engine,
    Json,
    Lab,
    capturing,
    ft_generate,
    lab,
    running,
    wait_until,
)

FRAMES = 100_000
SMALL_FRAMES = 50_000


@pytest.fixture
def loop() -> Iterator[Lab]:
    """A link whose two ends one generator can use."""
    with lab(together=True) as made:
        yield made


def generate(link: Lab, *options: str) -> Json:
    """Send from the left end and receive at the right; return the generator's report."""
    argv = ft_generate("-o", link.left.port, "-r", link.right.port, *options)
    with running(link.left, argv, name="gen", wait=False) as generator:
        return generator.finish()


def send_past_a_stopped_engine(link: Lab, engine: Engine) -> Json:
    """Loss is certain: the engine does not run while frames come."""
    engine.send_signal(signal.SIGSTOP)
    try:
        argv = ft_generate("-o", link.left.port, "--size", "64", "--count", str(SMALL_FRAMES))
        with running(link.left, argv, name="gen", wait=False) as generator:
            return generator.finish()
    finally:
        engine.send_signal(signal.SIGCONT)


def accounted_for(engine: Engine) -> int:
    """Return how many frames the engine has stored or lost so far."""
    port: Json = engine.status()["ports"][0]
    return int(port["stored"]) + int(port["dropped"]["kernel"])


def assert_every_frame_is_accounted_for(sent: Json, captured: Json) -> None:
    tx, rx, port = sent["tx"], sent["rx"], captured["ports"][0]
    assert tx["frames"] == port["stored"] + sum(port["dropped"].values())
    assert tx["frames"] == port["offered"] + port["dropped"]["adapter"]
    assert captured["balanced"] is True
    assert port["derived"] == []
    assert port["wire"]["agrees"] is True
    if rx is not None:
        assert tx["frames"] == rx["frames"] + rx["lost"] + rx["receiver_dropped"]


@pytest.mark.parametrize("size", ["64", "1518", "imix"])
def test_what_was_sent_was_stored_or_dropped_and_received_or_lost(
    loop: Lab, tmp_path: Path, size: str
) -> None:
    output = tmp_path / "x.pcapng"
    with capturing(loop.right, output, "-d", "in") as engine:
        sent = generate(loop, "--count", str(FRAMES), "--size", size)
        captured = engine.stop()
    assert sent["tx"]["frames"] == FRAMES
    assert_every_frame_is_accounted_for(sent, captured)
    packets = capturefile.read(output).packets
    assert len(packets) == captured["ports"][0]["stored"]
    assert {packet.length_bytes for packet in packets} == {
        "64": {60},
        "1518": {1514},
        "imix": {60, 590, 1514},
    }[size]
    print(f"{len(packets)} of {FRAMES} frames of {size} bytes stored, {captured['lost']} lost")


def test_a_buffer_far_too_small_loses_frames_and_counts_each_of_them(
    loop: Lab, tmp_path: Path
) -> None:
    output = tmp_path / "x.pcapng"
    with capturing(loop.right, output, "-d", "in", "--buffer", "64KiB") as engine:
        sent = send_past_a_stopped_engine(loop, engine)
        captured = engine.stop()
    port = captured["ports"][0]
    assert sent["tx"]["frames"] == SMALL_FRAMES
    assert_every_frame_is_accounted_for(sent, captured)
    assert port["dropped"]["kernel"] == captured["lost"] > 0
    assert port["stored"] > 0
    capture = capturefile.read(output)
    assert len(capture.packets) == port["stored"]
    assert capture.last_statistics(0)["os_drops"] == port["dropped"]["kernel"]
    assert capturefile.complaints(output) == []


def test_losses_inside_a_capture_are_told_with_the_next_frame(loop: Lab, tmp_path: Path) -> None:
    output = tmp_path / "x.pcapng"
    with capturing(loop.right, output, "-d", "in", "--buffer", "64KiB") as engine:
        send_past_a_stopped_engine(loop, engine)
        wait_until("the ring is empty", lambda: accounted_for(engine) == SMALL_FRAMES)
        one_more = ft_generate("-o", loop.left.port, "--count", "1")
        with running(loop.left, one_more, name="one", wait=False) as generator:
            generator.finish()
        captured = engine.stop()
    packets = capturefile.read(output).packets
    lost = captured["ports"][0]["dropped"]["kernel"]
    assert sum(packet.dropped_before for packet in packets) == lost > 0


def test_with_strict_a_loss_is_an_exit_code(loop: Lab) -> None:
    with capturing(loop.right, "null:", "-d", "in", "--buffer", "64KiB", "--strict") as engine:
        send_past_a_stopped_engine(loop, engine)
        engine.send_signal(signal.SIGINT)
        assert engine.wait() == 3
        assert engine.report()["lost"] > 0


def test_with_strict_a_run_without_loss_ends_well(loop: Lab) -> None:
    with capturing(loop.right, "null:", "--strict") as engine:
        assert engine.stop()["lost"] == 0


def test_a_receive_port_on_which_nothing_comes_loses_all(loop: Lab) -> None:
    argv = ft_generate("-o", loop.left.port, "-r", "lo", "--count", "1000")
    with running(loop.left, argv, name="gen", wait=False) as generator:
        report = generator.finish()
    assert report["rx"]["lost"] == report["tx"]["frames"] == 1000
    assert report["rx"]["frames"] == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_generator_accounts_for_what_it_sent(
    loop: Lab, number: signal.Signals
) -> None:
    ports = ("-o", loop.left.port, "-r", loop.right.port)
    argv = ft_generate(*ports, "--duration", "60", "--rate", "1kpps")
    with running(loop.left, argv, name="gen") as generator:
        wait_until("frames come back", lambda: generator.status()["rx"]["frames"] > 0)
        report = generator.stop(number)
    tx, rx = report["tx"], report["rx"]
    assert report["stop_reason"] == "signal"
    assert tx["frames"] == tx["submitted"] == rx["frames"] + rx["lost"] + rx["receiver_dropped"]
    assert rx["lost"] == 0
