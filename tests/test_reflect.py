"""The reflector sends back test frames, each once, and leaves everything else to the host."""

import json
import random
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import capturefile
import pytest
from fieldlab import (
    End,
    Engine,
    Json,
    Lab,
    capturing,
    ft_generate,
    program,
    running,
    tool,
    wait_until,
)
from reflectable import (
    BAD_LENGTH,
    FOREIGN,
    FRAGMENT,
    GROUP,
    LOOP,
    QINQ,
    SENT_BACK,
    VLAN,
    Datagram,
    echo,
    judge,
    over_ipv6,
    signed,
    udp_checksum_is_right,
)

FRAMES = 20_000

RAW_SENDER = """
import socket, sys
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as port:
    port.bind((sys.argv[1], 0))
    for line in open(sys.argv[2]):
        port.send(bytes.fromhex(line))
"""


@contextmanager
def reflecting(end: End, *options: str, name: str = "far") -> Iterator[Engine]:
    """Reflect at the port of `end`."""
    argv = [program("ft-reflect"), "-q", "-i", end.port, *options]
    with running(end, argv, name=name) as engine:
        yield engine


def generate(end: End, *options: str | Path) -> Json:
    """Send from `end`, by a back end that sends nothing else, and count what comes back."""
    argv = ft_generate("-o", f"afpacket:{end.port}", "-r", end.port, *options)
    with running(end, argv, name="near", wait=False) as generator:
        return generator.finish()


def send(end: End, folder: Path, frames: list[bytes]) -> None:
    """Send frames as they are."""
    replay = capturefile.write_pcap(folder / "send.pcap", frames)
    argv = ft_generate("-o", f"afpacket:{end.port}", "--replay", replay, "--rate", "20kpps")
    with running(end, argv, name="send", wait=False) as generator:
        assert generator.finish()["tx"]["frames"] == len(frames)


def send_beside(end: End, folder: Path, frames: list[bytes]) -> None:
    """Send frames by a port that a reflector has, which the generator refuses."""
    (folder / "frames").write_text("\n".join(frame.hex() for frame in frames))
    end.run(sys.executable, "-c", RAW_SENDER, end.port, folder / "frames")


def address(end: End) -> bytes:
    """The MAC address of the port."""
    shown = json.loads(end.run(tool("ip"), "-j", "link", "show", end.port).stdout)
    return bytes.fromhex(shown[0]["address"].replace(":", ""))


def has_program(end: End) -> bool:
    """Whether an XDP program is on the port."""
    return "xdp" in json.loads(end.run(tool("ip"), "-j", "link", "show", end.port).stdout)[0]


def outcomes(report: Json) -> dict[str, int]:
    """What became of the frames, without those of which there were none."""
    counts = report["refused"] | {SENT_BACK: report["reflected"], "capped": report["capped"]}
    return {outcome: frames for outcome, frames in counts.items() if frames}


@contextmanager
def both_sides(link: Lab, folder: Path) -> Iterator[tuple[Path, Path]]:
    """Capture what comes back on the left, and what the host on the right gets."""
    back, host = folder / "back.pcapng", folder / "host.pcapng"
    options = ("-d", "in", "--allow-coalesced")
    with (
        capturing(link.left, back, *options, name="back") as left,
        capturing(link.right, host, *options, name="host") as right,
    ):
        yield back, host
        left.stop()
        right.stop()


def reflect_each(link: Lab, folder: Path, frames: list[bytes]) -> tuple[Json, list[bytes], int]:
    """Send frames to a reflector on the right; return its report, what came back, the rest."""
    with reflecting(link.right) as far, both_sides(link, folder) as (back, host):
        send(link.left, folder, frames)
        wait_until("every frame", lambda: far.status()["seen"] == len(frames))
        report = far.stop()
    return report, capturefile.read(back).frames, len(capturefile.read(host).frames)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("size", ["64", "imix"])
def test_a_generator_gets_every_frame_back_once_at_the_port_that_sent_it(
    link: Lab, side: str, size: str
) -> None:
    near, far = (link.left, link.right) if side == "right" else (link.right, link.left)
    with reflecting(far) as reflector:
        report = generate(near, "--count", str(FRAMES), "--rate", "50kpps", "--size", size)
        counts = reflector.stop()
    assert report["tx"]["frames"] == report["rx"]["frames"] == FRAMES
    assert {report["rx"][kind] for kind in ("lost", "corrupt", "foreign", "duplicate")} == {0}
    assert counts["schema"] == "fieldtap.reflect-report/1"
    assert counts["seen"] == counts["reflected"] == counts["wire"]["sent"] == FRAMES
    assert counts["mode"] == "generic"
    assert counts["privileges"]["capabilities"] == []
    assert counts["alarms"] == []


def test_what_a_reflector_sent_back_is_measured_there_and_back(link: Lab) -> None:
    argv = ft_generate("-o", link.left.port, "-r", link.left.port, "--count", str(FRAMES))
    argv += ["--rate", "20kpps"]
    with reflecting(link.right), running(link.left, argv, name="near", wait=False) as near:
        report = near.finish()
    assert report["rx"]["frames"] == FRAMES
    assert report["latency_ns"]["samples"] == FRAMES
    assert report["latency_ns"]["source"].startswith("there and back")


ONE_WAY = {
    "plain": signed(),
    "odd payload": signed(filling=b"abc"),
    "long": signed(filling=bytes(1400)),
    "padded": replace(signed(), padding=bytes(20)),
    "with a CRC": signed(flags=2),
    "own ports": replace(signed(), ports=(5000, 6000)),
    "last hop": replace(signed(), ttl=1),
    "options": replace(signed(), options=bytes.fromhex("01010101")),
    "VLAN": replace(signed(), tags=((VLAN, 0x6005),)),
    "QinQ": replace(signed(), tags=((QINQ, 100), (VLAN, 200))),
    "old QinQ": replace(signed(), tags=((0x9100, 100), (VLAN, 200))),
    "IPv6": over_ipv6(signed()),
    "IPv6 in QinQ": replace(over_ipv6(signed(filling=b"x")), tags=((QINQ, 1), (VLAN, 2))),
}


def test_what_goes_back_is_the_frame_with_its_ends_exchanged_and_its_mark_set(
    link: Lab, tmp_path: Path
) -> None:
    datagrams = [*ONE_WAY.values(), echo(address(link.right)), over_ipv6(echo(address(link.right)))]
    frames = [datagram.frame() for datagram in datagrams]
    report, back, to_host = reflect_each(link, tmp_path, frames)
    expected = [judge(frame, address(link.right)) for frame in frames]
    assert {outcome for outcome, _ in expected} == {SENT_BACK}
    assert back == [frame for _, frame in expected]
    assert outcomes(report) == {SENT_BACK: len(frames)}
    assert to_host == 0
    for datagram, frame in zip(datagrams, back, strict=True):
        if not datagram.padding and not datagram.options:
            assert udp_checksum_is_right(frame, len(datagram.tags))


def not_for_a_reflector(own: bytes) -> list[tuple[str, Datagram]]:
    """Frames that stay here, each with the reason."""
    broadcast, group = bytes([255] * 6), bytes.fromhex("01005e000001")
    return [
        (FOREIGN, Datagram(b"a datagram of somebody else's, addressed to port 7")),
        (FOREIGN, replace(echo(own), ports=(49184, 53))),
        (FOREIGN, replace(signed(), payload=signed().payload[:-1] + b"!")),
        (FOREIGN, replace(signed(), next_header=6)),
        (FOREIGN, replace(over_ipv6(signed()), next_header=60)),
        (FOREIGN, replace(signed(), tags=((VLAN, 1),) * 9)),
        (GROUP, replace(signed(), to=broadcast)),
        (GROUP, replace(signed(), to=group)),
        (GROUP, replace(signed(), source=group)),
        (GROUP, replace(echo(own), to=broadcast)),
        (GROUP, replace(signed(), addresses=("c6120001", "ffffffff"))),
        (GROUP, replace(signed(), addresses=("e0000001", "c6130001"))),
        (GROUP, replace(signed(), addresses=("00000000", "c6130001"))),
        (GROUP, replace(over_ipv6(signed()), addresses=("ff02" + "0" * 28, "2" * 32))),
        (LOOP, signed(flags=1)),
        (LOOP, signed(flags=3)),
        (FOREIGN, signed(flags=4)),
        (LOOP, over_ipv6(signed(flags=1))),
        (LOOP, replace(echo(own), ports=(7, 7))),
        (LOOP, replace(signed(), source=own)),
        (FRAGMENT, replace(signed(), fragment=0x2000)),
        (FRAGMENT, replace(signed(), fragment=0x0010)),
        (FRAGMENT, replace(over_ipv6(signed()), next_header=44)),
        (BAD_LENGTH, replace(signed(), more_ip_bytes=1)),
        (BAD_LENGTH, replace(signed(), more_udp_bytes=1)),
        (BAD_LENGTH, replace(over_ipv6(signed()), more_udp_bytes=100)),
    ]


def test_what_does_not_go_back_is_counted_by_its_cause_and_reaches_the_host(
    link: Lab, tmp_path: Path
) -> None:
    cases = not_for_a_reflector(address(link.right))
    frames = [datagram.frame() for _, datagram in cases]
    report, back, to_host = reflect_each(link, tmp_path, frames)
    assert outcomes(report) == Counter(outcome for outcome, _ in cases)
    assert (back, to_host) == ([], len(frames))


def bent_at_random(frame: bytes, draw: random.Random) -> bytes:
    """Change up to three bytes of the headers, and cut one frame in five.

    Never within the first tag: of such frames the kernel makes nothing, and the host sees none.
    """
    bent = bytearray(frame)
    for _ in range(draw.randrange(4)):
        bent[draw.randrange(min(len(bent), 70))] = draw.randrange(256)
    whole = draw.random() < 0.8
    return bytes(bent if whole else bent[: draw.randrange(20, len(bent) + 1)])


def test_frames_changed_at_random_fare_as_a_second_opinion_says(link: Lab, tmp_path: Path) -> None:
    own, draw = address(link.right), random.Random(20261125)
    sound = [*ONE_WAY.values(), echo(own), *(bent for _, bent in not_for_a_reflector(own))]
    frames = [bent_at_random(draw.choice(sound).frame(), draw) for _ in range(3000)]
    report, back, to_host = reflect_each(link, tmp_path, frames)
    expected = [judge(frame, own) for frame in frames]
    assert back == [frame for outcome, frame in expected if outcome == SENT_BACK]
    assert outcomes(report) == Counter(outcome for outcome, _ in expected)
    assert to_host == len(frames) - report["reflected"]


def test_two_reflectors_that_face_each_other_send_a_frame_once(link: Lab, tmp_path: Path) -> None:
    own = address(link.right), address(link.left)
    frames = [
        *(signed(number).frame() for number in range(100)),
        replace(echo(own[0]), source=own[1]).frame(),
        replace(echo(own[0]), source=own[1], ports=(7, 7)).frame(),
    ]
    with reflecting(link.right) as right, reflecting(link.left, name="near-end") as left:
        send_beside(link.left, tmp_path, frames)
        wait_until("every frame back", lambda: left.status()["seen"] >= 101)
        reports = right.stop(), left.stop()
    assert outcomes(reports[0]) == {SENT_BACK: 101, LOOP: 1}
    assert outcomes(reports[1]) == {LOOP: 100, FOREIGN: 1}


def test_frames_beyond_the_cap_are_counted_each_and_told(link: Lab) -> None:
    with reflecting(link.right, "--rate", "1pps") as far:
        report = generate(link.left, "--count", "5000")
        counts = far.stop()
        words = far.words()
    assert counts["reflected"] + counts["capped"] == counts["seen"] == 5000
    assert counts["reflected"] == report["rx"]["frames"] > 0
    assert counts["capped"] == report["rx"]["lost"] == far.report()["capped"]
    assert "faster than --rate 1pps" in words
    assert len(counts["alarms"]) == 1


def test_a_reflector_ends_by_itself_and_leaves_the_port_as_it_was(
    link: Lab, tmp_path: Path
) -> None:
    with reflecting(link.right, "--duration", "0.5") as far:
        assert has_program(link.right)
        assert far.finish()["stop_reason"] == "duration"
    assert not has_program(link.right)
    with both_sides(link, tmp_path) as (back, host):
        send(link.left, tmp_path, [signed().frame()])
    assert capturefile.read(back).frames == []
    assert capturefile.read(host).frames == [signed().frame()]


def test_clients_see_it_among_the_runs_and_stop_it(link: Lab) -> None:
    fieldtap = program("fieldtap")
    with reflecting(link.right, "--rate", "1pps") as far:
        generate(link.left, "--count", "100")
        listed = json.loads(link.left.run(fieldtap, "capture", "list", "--json").stdout)
        link.left.run(fieldtap, "capture", "stop", "far")
        report = far.finish()
    engine = listed["engines"][0]
    assert (engine["program"], engine["port"], engine["seen"]) == ("ft-reflect", "ft-right", 100)
    assert engine["lost"] == engine["capped"] == report["capped"]
    assert report["stop_reason"] == "stop"


def test_a_killed_reflector_leaves_no_program_on_the_port(link: Lab) -> None:
    with reflecting(link.right) as far:
        far.send_signal(signal.SIGKILL)
        far.wait()
        wait_until("the port is free", lambda: not has_program(link.right))


def test_the_hosts_own_traffic_passes_while_test_frames_go_back(link: Lab) -> None:
    ip = tool("ip")
    for end, own in ((link.left, "192.0.2.1/24"), (link.right, "192.0.2.2/24")):
        end.run(ip, "addr", "add", own, "dev", end.port)
    with reflecting(link.right, "--force", link.right.port) as far:
        link.left.run(tool("ping"), "-c", "20", "-i", "0.01", "192.0.2.2")
        report = generate(link.left, "--force", link.left.port, "--count", "1000")
        counts = far.stop()
    assert counts["reflected"] == report["rx"]["frames"] == 1000
    assert counts["refused"][FOREIGN] >= 20


def test_native_mode_returns_every_frame_to_a_peer_that_can_take_it(link: Lab) -> None:
    link.left.run(tool("ethtool"), "-K", link.left.port, "gro", "on")
    with reflecting(link.right, "--mode", "native") as far:
        report = generate(link.left, "--count", str(FRAMES), "--rate", "50kpps")
        counts = far.stop()
    assert counts["mode"] == "native"
    assert report["rx"]["frames"] == counts["wire"]["sent"] == FRAMES
    assert counts["alarms"] == []


def test_a_peer_that_cannot_take_what_native_mode_sends_is_told_of(
    link: Lab, tmp_path: Path
) -> None:
    link.left.run(tool("ethtool"), "-K", link.left.port, "gro", "off")
    with reflecting(link.right, "--mode", "native") as far:
        send(link.left, tmp_path, [signed(number).frame() for number in range(100)])
        wait_until("the alarm", lambda: far.status()["alarms"])
        counts = far.stop()
    assert counts["wire"] == {"source": "tx_packets", "sent": 0, "dropped": 100}
    assert "try --mode generic" in counts["alarms"][0]["text"]


def test_a_driver_without_xdp_gets_the_generic_mode_and_that_is_said(link: Lab) -> None:
    link.right.run(tool("ip"), "link", "add", "ft-plain", "type", "ifb")
    link.right.run(tool("ip"), "link", "set", "ft-plain", "up")
    with reflecting(End(link.right.namespace, "ft-plain")) as far:
        assert far.stop()["mode"] == "generic"
        assert "reflects in generic mode (native: Operation not supported)" in far.words()


def test_a_port_with_a_program_is_refused_by_its_name(link: Lab, tmp_path: Path) -> None:
    afxdp = End(link.right.namespace, f"afxdp:{link.right.port}")
    with capturing(afxdp, tmp_path / "x.pcapng"):
        done = link.right.run(program("ft-reflect"), "-i", link.right.port, check=False)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "'fieldtap_" in done.stderr


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ((), "-i is missing"),
        (("-i", "no-such-port"), "no such interface"),
        (("-i", "lo", "--force", "lo"), "not Ethernet"),
        (("-i", "ft-right", "--rate", "5Mbps"), "--rate 5Mbps"),
        (("-i", "ft-right", "--rate", "0.5pps"), "--rate 0.5pps"),
        (("-i", "ft-right", "--duration", "700000"), "at most 7 days"),
        (("-i", "ft-right", "--mode", "fast"), "--mode fast"),
    ],
)
def test_a_bad_option_is_told_in_a_line(link: Lab, options: tuple[str, ...], word: str) -> None:
    done = link.right.run(program("ft-reflect"), *options, check=False)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert word in done.stderr
