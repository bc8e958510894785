"""How a generator sends: each back end's frames arrive whole, counted, and as the report says."""

import itertools
import json
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import capturefile
import pytest
from capturefile import write_pcap
from fieldlab import (
    Engine,
    Json,
    Lab,
    LabError,
    ft_capture,
    ft_generate,
    lab,
    running,
    tool,
    wait_until,
)

FRAMES = 40_000
"""More than one call of the kernel makes of live frames, and than any ring holds."""

BACKENDS = {"live": "live frames", "afxdp": "copy", "afpacket": "sendmmsg"}
PROBES = 32
"""Frames that are sent to see whether a back end delivers, where that is in doubt."""

ETHERNET, IPV4, ROOM = 14, 20, 18
SEQUENCE_AT = 10
"""Before the frame's end, where the signature's number is."""

RECORD_NUMBERS = """
import json, signal, socket, sys
numbers = []
def tell(*_):
    print(json.dumps(numbers))
    sys.exit(0)
signal.signal(signal.SIGTERM, tell)
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800)) as receiver:
    receiver.bind((sys.argv[1], 0x0800))
    print("ready", flush=True)
    while True:
        try:
            numbers.append(int.from_bytes(receiver.recv(2048)[-10:-6], "big"))
        except OSError:  # the port is down
            pass
"""
"""What receives on a port that goes down and comes up, though not the first frames after that."""


HOLD_TAP = """
import fcntl, os, struct, sys, time
TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 2, 0x1000
tap = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", sys.argv[1].encode(), IFF_TAP | IFF_NO_PI))
print("ready", flush=True)
while sys.argv[2]:
    os.read(tap, 2048)
time.sleep(60)
"""


@pytest.fixture
def loop() -> Iterator[Lab]:
    """A link whose two ends one generator can use."""
    with lab(together=True) as made:
        yield made


def generate(link: Lab, port: str, *options: str | Path) -> tuple[Json, str]:
    """Send from the left end until all is done; return the report and what was said aloud."""
    argv = [word for word in ft_generate("-o", port, *options) if word != "-q"]
    with running(link.left, argv, name="gen", wait=False) as generator:
        return generator.finish(), generator.words()


def refusal(link: Lab, port: str, *options: str) -> str:
    """Return the one line that a generator says which cannot begin."""
    done = link.left.run(*ft_generate("-o", port, *options), check=False)
    assert done.returncode in {1, 2}
    assert done.stderr.count("\n") == 1
    return done.stderr


def give_xdp_frames(link: Lab) -> None:
    """Have the right end take frames that no skb was made of."""
    link.right.run(tool("ethtool"), "-K", link.right.port, "gro", "on")


def xdp_on(link: Lab) -> Json | None:
    shown: list[Json] = json.loads(link.left.run("ip", "-j", "link", "show", link.left.port).stdout)
    return shown[0].get("xdp")


def received(link: Lab) -> int:
    path = f"/sys/class/net/{link.right.port}/statistics/rx_packets"
    return int(link.right.run("cat", path).stdout)


def checksum(data: bytes) -> int:
    """The one's complement sum (RFC 1071): 0xffff over what includes a right checksum."""
    total: int = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def numbers(frames: list[bytes]) -> list[int]:
    """Return the numbers that generated frames carry; their checksums are right."""
    for frame in frames:
        ip, datagram = frame[ETHERNET:][:IPV4], frame[ETHERNET + IPV4 :]
        pseudo = ip[12:20] + struct.pack(">HH", 17, len(datagram))
        assert checksum(ip) == checksum(pseudo + datagram) == 0xFFFF
        assert checksum(frame[-ROOM:]) == 0xFFFF
    return [int.from_bytes(frame[-SEQUENCE_AT:][:4], "big") for frame in frames]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("size", [64, 1518])
def test_each_back_end_sends_numbered_intact_frames_and_its_tap_has_what_arrived(
    link: Lab, tmp_path: Path, backend: str, size: int
) -> None:
    arrived, tapped = tmp_path / "arrived.pcapng", tmp_path / "tapped.pcapng"
    port = f"{backend}:{link.left.port}"
    capture = ft_capture("-i", link.right.port, "-w", arrived, "-d", "in", "--buffer", "256MiB")
    with running(link.right, capture) as engine:
        options = ("--count", str(FRAMES), "--size", str(size), "--tap", tapped)
        report, _ = generate(link, port, *options)
        engine.stop()
    tx = report["tx"]
    assert (tx["backend"], tx["mode"], tx["refused"]) == (backend, BACKENDS[backend], [])
    assert tx["frames"] == FRAMES
    assert report["valid"] is True
    came = capturefile.read(arrived).frames
    assert numbers(came) == list(range(FRAMES))
    assert {len(frame) for frame in came} == {size - 4}
    tap = capturefile.read(tapped)
    assert tap.frames == came
    assert {packet.direction for packet in tap.packets} == {"out"}
    assert report["tap"]["frames"] == tap.last_statistics(0)["delivered"] == FRAMES


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_frame_of_each_back_end_comes_back_and_none_is_foreign(
    loop: Lab, backend: str
) -> None:
    options = ("-r", loop.right.port, "--count", str(FRAMES))
    report, _ = generate(loop, f"{backend}:{loop.left.port}", *options)
    rx = report["rx"]
    assert report["valid"] is True, report["invalid_reason"]
    assert rx["frames"] == report["tx"]["frames"] == FRAMES
    assert [rx[key] for key in ("lost", "duplicate", "reordered", "corrupt", "foreign")] == [0] * 5


@pytest.mark.parametrize("backend", ["afxdp", "live"])
def test_a_port_named_alone_is_sent_to_by_the_fastest_that_delivers(
    link: Lab, backend: str
) -> None:
    if backend == "live":
        give_xdp_frames(link)
    report, words = generate(link, link.left.port, "--count", "1000")
    tx = report["tx"]
    assert (tx["backend"], tx["frames"]) == (backend, 1000)
    assert f"sends by {backend}" in words
    assert "a capture of this port does not see these frames" in words
    refused = {entry["backend"]: entry["reason"] for entry in tx["refused"]}
    assert set(refused) == ({"live"} if backend == "afxdp" else set())
    assert all("sends no XDP frames" in reason for reason in refused.values())


def test_only_one_frame_at_top_speed_is_sent_by_live(link: Lab, tmp_path: Path) -> None:
    give_xdp_frames(link)
    replay = write_pcap(tmp_path / "x.pcap", [bytes(60)] * 10)
    for options in (["--rate", "1kpps"], ["--size", "64,128"], ["--replay", str(replay)]):
        stop = [] if "--replay" in options else ["--count", "100"]
        report, _ = generate(link, link.left.port, *options, *stop)
        assert report["tx"]["backend"] == "afxdp"
        assert report["tx"]["refused"] == []
        assert "--rate max" in refusal(link, f"live:{link.left.port}", *options, *stop)


def test_while_somebody_captures_from_the_port_it_is_sent_to_so_that_they_see_it(
    link: Lab, tmp_path: Path
) -> None:
    give_xdp_frames(link)
    output = tmp_path / "x.pcapng"
    with running(link.left, ft_capture("-i", link.left.port, "-w", output, "-d", "out")) as engine:
        report, words = generate(link, link.left.port, "--count", "1000")
        engine.stop()
    assert report["tx"]["backend"] == "afpacket"
    assert [entry["backend"] for entry in report["tx"]["refused"]] == ["live", "afxdp"]
    assert "a program captures from this port" in words
    assert numbers(capturefile.read(output).frames) == list(range(1000))


@contextmanager
def tap_port(link: Lab, *, read: bool) -> Iterator[str]:
    """A port whose driver takes XDP frames, and has sent what somebody reads."""
    if not Path("/dev/net/tun").exists():
        raise LabError("no /dev/net/tun")
    argv = (sys.executable, "-c", HOLD_TAP, "ft-tap", "reads" if read else "")
    holder = link.left.start(*argv, stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"ready\n"
        link.left.run(tool("ip"), "link", "set", "ft-tap", "up")
        yield "ft-tap"
    finally:
        holder.kill()
        holder.wait()


def test_live_frames_are_believed_only_once_the_ports_counter_knows_of_some(link: Lab) -> None:
    with tap_port(link, read=True) as port:
        report, _ = generate(link, f"live:{port}", "--count", "100")
        assert report["tx"]["frames"] >= 100
    with tap_port(link, read=False) as port:
        words = refusal(link, f"live:{port}", "--count", "100")
        assert f"live took {PROBES} frames, of which the port's counter knows 0" in words


def test_where_frames_of_no_back_end_come_back_the_ports_own_counter_decides(link: Lab) -> None:
    with tap_port(link, read=True) as port:
        report, _ = generate(link, port, "-r", link.left.port, "--count", "100")
    assert (report["tx"]["backend"], report["tx"]["refused"]) == ("live", [])
    assert report["rx"]["frames"] == report["rx"]["foreign"] == 0


def test_live_frames_are_refused_where_the_other_end_would_lose_them(link: Lab) -> None:
    words = refusal(link, f"live:{link.left.port}", "--count", "1000")
    assert "its driver sends no XDP frames" in words
    assert xdp_on(link) is None


def test_a_frame_too_long_for_a_back_end_is_sent_by_one_that_can() -> None:
    options = ("--size", "9018", "--count", "1000")
    with lab(mtu_bytes=9000, together=True) as loop:
        for backend, most in (("afxdp", 4096), ("live", 3000)):
            words = refusal(loop, f"{backend}:{loop.left.port}", *options)
            assert f"frames of up to {most} bytes" in words
        report, _ = generate(loop, loop.left.port, "-r", loop.right.port, *options)
    assert report["tx"]["backend"] == "afpacket"
    assert [entry["backend"] for entry in report["tx"]["refused"]] == ["live", "afxdp"]
    assert report["rx"]["frames"] == 1000
    assert report["valid"] is True


def test_sizes_in_turn_and_a_replay_are_sent_by_afxdp_as_they_are(
    link: Lab, tmp_path: Path
) -> None:
    frames = [bytes(12) + b"\x88\xb5" + bytes([n % 256]) * (46 + n % 1400) for n in range(5000)]
    replay, arrived = write_pcap(tmp_path / "x.pcap", frames), tmp_path / "arrived.pcapng"
    options = ("--replay", replay, "--rate", "max", "--tap", tmp_path / "tap.pcap")
    capture = ft_capture("-i", link.right.port, "-w", arrived, "-d", "in", "--buffer", "256MiB")
    with running(link.right, capture) as engine:
        report, _ = generate(link, f"afxdp:{link.left.port}", *options)
        mixed, _ = generate(link, f"afxdp:{link.left.port}", "--size", "imix", "--count", "5000")
        engine.stop()
    came = capturefile.read(arrived).frames
    assert came[: len(frames)] == frames
    assert numbers(came[-5000:]) == list(range(5000))
    assert [len(frame) + 4 for frame in came[-5000:][:4]] == [64, 594, 64, 594]
    assert report["valid"] is mixed["valid"] is True


def test_a_discipline_that_spreads_flows_is_bypassed_and_another_is_not(link: Lab) -> None:
    for discipline, mode in (("mq", "sendmmsg, past mq"), ("pfifo", "sendmmsg")):
        change = ("qdisc", "replace", "dev", link.left.port, "root", discipline)
        link.left.run(tool("tc"), *change)
        report, words = generate(link, f"afpacket:{link.left.port}", "--count", "1000")
        assert (report["tx"]["mode"], report["tx"]["frames"]) == (mode, 1000)
        assert ("does not see these frames" in words) is (discipline == "mq")


def test_a_link_that_is_away_for_a_moment_delays_frames_of_afxdp_and_loses_and_reorders_none(
    link: Lab,
) -> None:
    argv = ft_generate("-o", f"afxdp:{link.left.port}", "--rate", "2kpps", "--count", "2000")
    record = (sys.executable, "-c", RECORD_NUMBERS, link.right.port)
    recorder = link.right.start(*record, stdout=subprocess.PIPE)
    assert recorder.stdout is not None
    assert recorder.stdout.readline() == b"ready\n"
    before = received(link)
    with running(link.left, argv, name="gen") as generator:
        for state in ("down", "up"):
            link.right.run(tool("ip"), "link", "set", link.right.port, state)
            time.sleep(0.2)
        report = generator.finish()
    recorder.terminate()
    recorded = json.loads(recorder.communicate()[0])
    assert recorded == sorted(set(recorded))
    assert (recorded[0], recorded[-1]) == (0, 1999)
    assert received(link) - before == report["tx"]["frames"] == 2000
    assert report["tx"]["submitted"] == 2000
    # Nothing was lost, but what was measured was a link that was away.
    assert (report["valid"], "link" in report["invalid_reason"]) == (False, True)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_link_that_goes_away_ends_the_run_with_the_reason(loop: Lab, backend: str) -> None:
    argv = ft_generate("-o", f"{backend}:{loop.left.port}", "--duration", "60")
    give_xdp_frames(loop)
    with running(loop.left, argv, name="gen") as generator:
        loop.right.run(tool("ip"), "link", "set", loop.right.port, "down")
        assert generator.wait() == 1
        assert "lost its link" in generator.words()
        report = generator.report()
    assert report["valid"] is False
    assert report["tx"]["backend"] == backend


@pytest.mark.parametrize("backend", ["live", "afxdp"])
def test_kill_9_leaves_nothing_on_the_port_and_the_next_run_begins_at_once(
    link: Lab, backend: str
) -> None:
    port = f"{backend}:{link.left.port}"
    give_xdp_frames(link)
    with running(link.left, ft_generate("-o", port, "--duration", "60"), name="gen") as generator:
        generator.send_signal(signal.SIGKILL)
        generator.wait()
    report, _ = generate(link, port, "--count", "1000")
    assert (report["tx"]["backend"], report["tx"]["frames"]) == (backend, 1000)
    assert xdp_on(link) is None


def capabilities(engine: Engine) -> set[str]:
    tasks = Path(f"/proc/{engine.process.pid}/task").iterdir()
    texts = [(task / "status").read_text() for task in tasks]
    return {line for text in texts for line in text.splitlines() if line.startswith("CapEff")}


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_back_end_keeps_a_privilege_and_each_counts_while_it_runs(
    link: Lab, backend: str
) -> None:
    give_xdp_frames(link)
    argv = ft_generate("-o", f"{backend}:{link.left.port}", "--duration", "60")
    with running(link.left, argv, name="gen") as generator:
        assert capabilities(generator) == {"CapEff:\t0000000000000000"}
        wait_until("a frame counted", lambda: generator.status()["tx"]["frames"] > 0)
        assert generator.status()["tx"]["backend"] == backend
        report = generator.stop()
    assert report["tx"]["frames"] > 0
    assert "stopped" in report["invalid_reason"]


# --- the dry run --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["x.pcap", "x.pcapng"])
def test_a_dry_run_writes_what_would_be_sent_with_the_stamps_of_the_schedule(
    link: Lab, tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    path.write_bytes(b"older")
    report, words = generate(link, f"file:{path}", "--rate", "1kpps", "--duration", "20")
    assert f"{path} existed and is now {path}.1" in words
    assert Path(f"{path}.1").read_bytes() == b"older"
    tx = report["tx"]
    assert (tx["backend"], tx["source"], tx["port"]) == ("file", "file", str(path))
    assert (tx["frames"], report["valid"]) == (20_000, True)
    assert tx["pps"] == pytest.approx(1000)
    stamps = stamps_of(path)
    assert {after - before for before, after in itertools.pairwise(stamps)} == {10**6}
    assert len(stamps) == 20_000


def stamps_of(path: Path) -> list[int]:
    if path.suffix == ".pcapng":
        packets = capturefile.read(path).packets
        assert numbers([packet.data for packet in packets]) == list(range(len(packets)))
        return [packet.stamp_ns for packet in packets]
    data, at, stamps = path.read_bytes(), 24, []
    assert struct.unpack_from("<I", data)[0] == capturefile.NSEC_PCAP_MAGIC
    while at < len(data):
        seconds, ns, kept, _ = struct.unpack_from("<IIII", data, at)
        stamps.append(seconds * 10**9 + ns)
        at += 16 + kept
    return stamps


def test_a_dry_run_of_a_replay_keeps_the_timing_of_the_file(link: Lab, tmp_path: Path) -> None:
    frames = [bytes(12) + b"\x88\xb5" + bytes([n]) * 46 for n in range(50)]
    first, second = tmp_path / "first.pcapng", tmp_path / "second.pcapng"
    third = tmp_path / "third.pcapng"
    source = write_pcap(tmp_path / "x.pcap", frames)
    generate(link, f"file:{first}", "--replay", source, "--rate", "7kpps")
    generate(link, f"file:{second}", "--replay", first)
    generate(link, f"file:{third}", "--replay", source, "--rate", "max")
    gaps = []
    for path in (first, second, third):
        assert capturefile.read(path).frames == frames
        stamps = stamps_only(path)
        gaps.append([stamp - stamps[0] for stamp in stamps])
    assert gaps[0] == gaps[1]
    assert set(gaps[2]) == {0}


def stamps_only(path: Path) -> list[int]:
    return [packet.stamp_ns for packet in capturefile.read(path).packets]


def test_a_dry_run_that_makes_no_sense_is_refused(link: Lab, tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    assert "it would never end" in refusal(link, f"file:{path}", "--duration", "1")
    assert "name it NAME.pcapng" in refusal(link, f"file:{tmp_path}/x.txt", "--count", "1")
    options = ("-r", link.left.port, "--count", "1")
    assert "no frame comes back" in refusal(link, f"file:{path}", *options)
    missing = tmp_path / "no/x.pcap"
    assert "cannot be written" in refusal(link, f"file:{missing}", "--count", "1")
    assert "does not tell its speed" in refusal(link, f"file:{path}", "--rate", "10%")
    assert list(tmp_path.glob("x*")) == []
