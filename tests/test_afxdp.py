"""The back end afxdp: which mode it gets, that it accounts for every frame, and what it leaves."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import capturefile
import pytest
from fieldlab import (
    End,
    Engine,
    Json,
    Lab,
    ft_capture,
    ft_generate,
    lab,
    running,
    tool,
    wait_until,
)

FRAMES = 20_000
FLOOD_FRAMES = 200_000
TINY_RING = "ring=64"
SENDER = Path(__file__).with_name("numbered_sender.py")
SEND = """
import socket, sys
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
    sender.bind((sys.argv[1], 0))
    for frame in sys.argv[2:]:
        sender.send(bytes.fromhex(frame))
"""
PUSH_TAG = b"""
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>
SEC("tc") int push(struct __sk_buff *skb)
{
	bpf_skb_vlan_push(skb, 0x0081, 9);
	return TC_ACT_OK;
}
char permission[] SEC("license") = "GPL";
"""
"""What puts a tag beside each frame that is sent, as a port of a VLAN does."""

ADDRESSES = bytes.fromhex("020000000002020000000001")
PAYLOAD = bytes.fromhex("88b5") + bytes(46)


@contextmanager
def capturing(
    end: End, output: Path | str, *options: str, keys: str = "", name: str = "tap"
) -> Iterator[Engine]:
    port = f"afxdp:{end.port}" + (f",{keys}" if keys else "")
    with running(end, ft_capture("-i", port, "-w", output, *options), name=name) as engine:
        yield engine


def generate(end: End, count: int, size: str = "64") -> int:
    """Send; return how many frames the port confirms."""
    argv = ft_generate("-o", end.port, "--count", str(count), "--size", size)
    with running(end, argv, name="gen", wait=False) as generator:
        return int(generator.finish()["tx"]["frames"])


def send(end: End, *frames: bytes) -> None:
    end.run(sys.executable, "-c", SEND, end.port, *(frame.hex() for frame in frames))


def xdp_on(end: End) -> Json | None:
    shown: list[Json] = json.loads(end.run("ip", "-j", "link", "show", end.port).stdout)
    return shown[0].get("xdp")


def refusal(end: End, *options: str) -> str:
    """Return the one line that a capture says which cannot begin."""
    done = end.run(*ft_capture(*options, "-w", "null:"), check=False)
    assert done.returncode in {1, 2}
    return done.stderr


@pytest.mark.parametrize(
    ("keys", "mode"), [("", "native copy"), ("mode=copy", "native copy"),
                       ("mode=generic", "generic copy")]
)  # fmt: skip
@pytest.mark.parametrize("size", ["64", "1518"])
def test_every_frame_sent_is_stored_in_the_mode_that_the_report_names(
    link: Lab, tmp_path: Path, keys: str, mode: str, size: str
) -> None:
    output = tmp_path / "x.pcapng"
    with capturing(link.right, output, "-d", "in", keys=keys) as engine:
        sent = generate(link.left, FRAMES, size)
        report = engine.stop()
    port = report["ports"][0]
    assert (port["backend"], port["mode"]) == ("afxdp", mode)
    assert sent == port["offered"] == port["stored"] == FRAMES
    assert report["balanced"] is True
    assert port["wire"]["agrees"] is True
    packets = capturefile.read(output).packets
    assert len(packets) == FRAMES
    assert {packet.length_bytes for packet in packets} == {int(size) - 4}
    assert report["started_ns"] < packets[0].stamp_ns <= packets[-1].stamp_ns
    assert packets[-1].stamp_ns < report["stopped_ns"]


def test_a_mode_that_is_not_zero_copy_is_said_aloud(link: Lab) -> None:
    with capturing(link.right, "null:") as engine:
        engine.stop()
        words = engine.words()
    assert "captures in mode 'native copy' (native zero-copy: Operation not supported)" in words


def test_zero_copy_demanded_of_a_driver_without_it_is_refused(link: Lab) -> None:
    words = refusal(link.right, "-i", f"afxdp:{link.right.port},mode=zerocopy")
    assert "native zero-copy: Operation not supported" in words
    assert xdp_on(link.right) is None


@pytest.mark.parametrize("mode", ["copy", "generic"])
def test_a_tiny_ring_loses_frames_and_counts_each_of_them(
    link: Lab, tmp_path: Path, mode: str
) -> None:
    output = tmp_path / "x.pcapng"
    keys = f"mode={mode},{TINY_RING}"
    with capturing(link.right, output, "-d", "in", keys=keys) as engine:
        sent = generate(link.left, FLOOD_FRAMES)
        report = engine.stop()
    port = report["ports"][0]
    packets = capturefile.read(output).packets
    assert sent == port["offered"] == FLOOD_FRAMES
    assert port["offered"] == port["stored"] + sum(port["dropped"].values())
    assert port["dropped"]["kernel"] == report["lost"] > 1000
    assert report["balanced"] is True
    assert port["derived"] == []
    assert len(packets) == port["stored"]
    assert 0 < sum(packet.dropped_before for packet in packets) <= report["lost"]


def test_losses_are_told_with_the_frame_that_came_next(link: Lab, tmp_path: Path) -> None:
    output = tmp_path / "x.pcapng"
    with capturing(link.right, output, "-d", "in", keys=TINY_RING) as engine:
        engine.send_signal(signal.SIGSTOP)
        link.left.run(sys.executable, SENDER, link.left.port, "1000")
        engine.send_signal(signal.SIGCONT)
        wait_for_stored(engine, 64)
        link.left.run(sys.executable, SENDER, link.left.port, "1")
        report = engine.stop()
    packets = capturefile.read(output).packets
    lost = report["ports"][0]["dropped"]["kernel"]
    assert [packet.dropped_before for packet in packets] == [0] * 64 + [lost]
    assert lost == 1000 - 64


def wait_for_stored(engine: Engine, frames: int) -> None:

    wait_until("frames taken", lambda: engine.status()["ports"][0]["stored"] >= frames)


@pytest.mark.parametrize("mode", ["copy", "generic"])
def test_tags_stay_in_frames(link: Lab, tmp_path: Path, mode: str) -> None:
    output = tmp_path / "x.pcapng"
    tags = ("81000005", "88a8000581000007", "")
    frames = [ADDRESSES + bytes.fromhex(tag) + PAYLOAD for tag in tags]
    with capturing(link.right, output, "-d", "in", keys=f"mode={mode}") as engine:
        send(link.left, *frames)
        engine.stop()
    assert capturefile.read(output).frames == frames


def test_a_tag_that_travels_beside_its_frame_is_put_back(link: Lab, tmp_path: Path) -> None:
    output, pusher = tmp_path / "x.pcapng", tmp_path / "push.o"
    compiler = [tool("clang"), "-target", "bpf", "-O2", "-I/usr/include/x86_64-linux-gnu"]
    subprocess.run([*compiler, "-x", "c", "-c", "-", "-o", pusher], input=PUSH_TAG, check=True)
    traffic_control = (tool("tc"), "filter", "add", "dev", link.left.port, "egress")
    link.left.run(tool("tc"), "qdisc", "add", "dev", link.left.port, "clsact")
    link.left.run(*traffic_control, "bpf", "da", "obj", pusher, "sec", "tc")
    with capturing(link.right, output, "-d", "in") as engine:
        send(link.left, ADDRESSES + PAYLOAD)
        engine.stop()
    assert capturefile.read(output).frames == [ADDRESSES + bytes.fromhex("81000009") + PAYLOAD]


def test_both_directions_are_captured_each_on_an_interface_of_its_own(
    link: Lab, tmp_path: Path
) -> None:
    output = tmp_path / "x.pcapng"
    with capturing(link.right, output, "-d", "both") as engine:
        link.left.run(sys.executable, SENDER, link.left.port, "1000")
        link.right.run(sys.executable, SENDER, link.right.port, "700")
        report = engine.stop()
    capture = capturefile.read(output)
    assert capture.interfaces == [f"{link.right.port}:rx", f"{link.right.port}:tx"]
    kinds = [(packet.interface, packet.direction) for packet in capture.packets]
    assert kinds.count((0, "in")) == 1000
    assert kinds.count((1, "out")) == len(kinds) - 1000 == 700
    assert report["balanced"] is True
    assert report["ports"][0]["wire"]["agrees"] is True


def test_sent_frames_alone_need_no_program_on_the_device(link: Lab, tmp_path: Path) -> None:
    output = tmp_path / "x.pcapng"
    with capturing(link.right, output, "-d", "out") as engine:
        assert xdp_on(link.right) is None
        link.right.run(sys.executable, SENDER, link.right.port, "10")
        engine.stop()
    assert len(capturefile.read(output).packets) == 10


def test_every_receive_queue_of_the_device_is_captured(tmp_path: Path) -> None:
    with lab() as link:
        for end in (link.left, link.right):
            end.run(tool("ethtool"), "-L", end.port, "rx", "2", "tx", "2")
        words = refusal(link.right, "-i", f"afxdp:{link.right.port},queues=1")
        assert "2 receive queues, and frames on those beyond 1 would be missed" in words
        with capturing(link.right, tmp_path / "x.pcapng", "-d", "in") as engine:
            sent = generate(link.left, FRAMES)
            report = engine.stop()
    assert report["ports"][0]["stored"] == sent == FRAMES
    assert report["balanced"] is True


def test_jumbo_frames_are_stored_whole(tmp_path: Path) -> None:
    frames = [ADDRESSES + PAYLOAD + bytes(range(256)) * count for count in (1, 16, 34, 2)]
    output = tmp_path / "x.pcapng"
    with lab(mtu_bytes=9000) as link, capturing(link.right, output, "-d", "in") as engine:
        send(link.left, *frames)
        report = engine.stop()
    assert capturefile.read(output).frames == frames
    assert report["balanced"] is True


def test_kill_9_leaves_no_program_on_the_device(link: Lab) -> None:
    with capturing(link.right, "null:") as engine:
        assert xdp_on(link.right) is not None
        engine.send_signal(signal.SIGKILL)
        engine.wait()
    assert xdp_on(link.right) is None


def test_a_second_engine_on_the_port_is_refused(link: Lab) -> None:
    with capturing(link.right, "null:"):
        words = refusal(link.right, "-i", f"afxdp:{link.right.port}")
    assert "an XDP program is attached already ('fieldtap_" in words


def test_a_port_that_is_removed_ends_the_run_with_all_that_it_gave(
    link: Lab, tmp_path: Path
) -> None:
    output = tmp_path / "x.pcapng"
    with capturing(link.right, output, "-d", "in") as engine:
        link.left.run(sys.executable, SENDER, link.left.port, "1000")
        link.right.run("ip", "link", "del", link.right.port)
        assert engine.wait() == 1
        report = engine.report()
        words = engine.words()
    assert f"port '{link.right.port}' is gone: its interface was removed" in words
    assert len(capturefile.read(output).packets) == 1000
    assert report["balanced"] is True


def test_adapter_stamps_are_refused_where_there_are_none(link: Lab) -> None:
    words = refusal(link.right, "-i", f"afxdp:{link.right.port}", "-t", "adapter", "-d", "in")
    assert "-t adapter: its driver cannot stamp every received frame" in words
