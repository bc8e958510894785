"""Every run of the generator ends, and one that shows nothing does not say that all is well."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from capturefile import write_pcap
from fieldlab import Lab, client, ft_generate, lab, running, tool, wait_until

LOOP = Path(__file__).with_name("simulated_loop.py")
FRAME = bytes(12) + b"\x88\xb5" + bytes(46)


@pytest.fixture
def loop() -> Iterator[Lab]:
    """A link whose two ends one generator can use."""
    with lab(together=True) as made:
        yield made


@pytest.fixture
def live(loop: Lab) -> Lab:
    """A link whose left end sends live frames."""
    loop.right.run(tool("ethtool"), "-K", loop.right.port, "gro", "on")
    return loop


def test_copies_that_go_round_for_ever_do_not_keep_a_run_from_its_end(loop: Lab) -> None:
    end = loop.left
    for near, far in ("ft-into", "ft-in"), ("ft-out", "ft-outof"):
        end.run(tool("ip"), "link", "add", near, "type", "veth", "peer", "name", far)
        end.run(tool("ip"), "link", "set", near, "up")
        end.run(tool("ip"), "link", "set", far, "up")
    network = end.start(sys.executable, LOOP, "ft-in", "ft-out", stdout=subprocess.PIPE)
    try:
        assert network.stdout is not None
        network.stdout.readline()
        argv = ft_generate("-o", "afpacket:ft-into", "-r", "ft-outof", "--count", "20")
        with running(end, argv, name="gen", wait=False) as generator:
            report = generator.finish()
    finally:
        network.kill()
        network.communicate()
    assert report["rx"]["lost"] == 1
    assert report["rx"]["duplicate"] > 0


def test_a_port_that_takes_next_to_nothing_is_not_waited_for(loop: Lab) -> None:
    shaper = ("root", "tbf", "rate", "100bit", "burst", "1540", "limit", "1540")
    loop.left.run(tool("tc"), "qdisc", "add", "dev", loop.left.port, *shaper)
    argv = ft_generate("-o", f"afpacket:{loop.left.port}", "--rate", "1kpps", "--duration", "1")
    with running(loop.left, argv, name="gen") as generator:
        report = generator.finish()
    assert report["stop_reason"] == "duration"
    assert "could not keep the rate" in report["invalid_reason"]


def test_an_interrupt_while_a_link_is_waited_for_ends_the_program(loop: Lab) -> None:
    loop.right.run(tool("ip"), "link", "set", loop.right.port, "down")
    argv = ft_generate("-o", f"afpacket:{loop.left.port}")
    with running(loop.left, argv, name="gen", wait=False) as generator:
        wait_until("it has begun", (generator.socket.parent / "lock").exists)
        generator.send_signal(signal.SIGINT)
        assert generator.wait() == 130
        assert generator.words() == ""
        assert not generator.report_path.exists()


def test_frames_that_the_kernel_makes_pause_too(live: Lab) -> None:
    argv = ft_generate("-o", f"live:{live.left.port}", "--duration", "60")
    with running(live.left, argv, name="gen") as generator:

        def submitted() -> int:
            count: int = generator.status()["tx"]["submitted"]
            return count

        def takes(*, paused: bool) -> bool:
            """Ask for it; whether the sender had taken the change asked for before."""
            with client(generator.socket) as asking:
                return "result" in asking.ask("rate", paused=paused)

        wait_until("frames are sent", submitted)
        for _ in range(2):
            wait_until("the pause is taken", lambda: takes(paused=True))
        held = submitted()
        assert [submitted() for _ in range(20)] == [held] * 20
        wait_until("the pause ends", lambda: takes(paused=False))
        wait_until("it goes on", lambda: submitted() > held)
        generator.stop()


def test_a_port_that_vanishes_under_live_frames_ends_the_run(live: Lab) -> None:
    argv = ft_generate("-o", f"live:{live.left.port}", "--duration", "60")
    with running(live.left, argv, name="gen") as generator:
        live.right.run(tool("ip"), "link", "del", live.right.port)
        assert generator.wait() == 1
        report = generator.report()
    assert report["stop_reason"] == "port lost"
    assert "is gone" in report["invalid_reason"]


def test_a_choice_that_leaves_no_frame_is_refused(loop: Lab, tmp_path: Path) -> None:
    write_pcap(tmp_path / "x.pcap", [FRAME])
    argv = ft_generate("-o", loop.left.port, "--replay", tmp_path / "x.pcap", "-f", "tcp")
    done = loop.left.run(*argv, check=False)
    assert done.returncode == 2
    assert "no frame is left to send" in done.stderr


def test_a_run_that_sent_nothing_is_not_valid(loop: Lab, tmp_path: Path) -> None:
    capture = write_pcap(tmp_path / "x.pcap", [FRAME]).read_bytes()
    argv = ft_generate("-o", loop.left.port, "--replay", "-", "-f", "tcp")
    with running(loop.left, argv, name="gen", wait=False, stdin=subprocess.PIPE) as generator:
        generator.process.communicate(capture)
        report = generator.finish()
    assert report["valid"] is False
    assert report["invalid_reason"] == "no frame was sent"


def test_a_dry_run_of_a_slow_pipe_has_no_underruns(tmp_path: Path) -> None:
    with lab() as link:
        capture = write_pcap(tmp_path / "x.pcap", [FRAME] * 3).read_bytes()
        argv = ft_generate("-o", f"file:{tmp_path / 'dry.pcap'}", "--replay", "-")
        argv += ["--duration", "0.001"]
        with running(link.left, argv, name="gen", stdin=subprocess.PIPE, wait=False) as generator:
            feed = generator.process.stdin
            assert feed is not None
            feed.write(capture[:-1])
            feed.flush()
            generator.process.communicate(capture[-1:])
            report = generator.finish()
    assert report["valid"] is True
    assert report["tx"]["frames"] == 3
