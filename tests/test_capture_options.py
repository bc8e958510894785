"""What each option of ft-capture keeps, stops at or leaves out, told by file and ledger alike."""

import json
import subprocess
import sys
from pathlib import Path

import capturefile
import pytest
from fieldlab import (
    End,
    Engine,
    Json,
    Lab,
    capturing,
    ft_capture,
    program,
    running,
    tool,
    wait_until,
)

SENDER = Path(__file__).with_name("numbered_sender.py")
UDP = bytes.fromhex("020000000001020000000002")
IP_UDP = bytes.fromhex("0800 4500002e00000000 4011 0000 c6120001 c6130001 0400 0009 001a 0000")
FRAME_BYTES = 60


def numbered(end: End, count: int) -> None:
    """Send `count` numbered frames from `end`."""
    end.run(sys.executable, SENDER, end.port, str(count))


def send(end: End, *frames: bytes) -> None:
    """Send frames as they are."""
    script = (
        "import socket, sys, json\n"
        "s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind((sys.argv[1], 0))\n"
        "[s.send(bytes.fromhex(f)) for f in json.loads(sys.argv[2])]"
    )
    end.run(sys.executable, "-c", script, end.port, json.dumps([frame.hex() for frame in frames]))


def udp(port: int, vlan: bytes = b"") -> bytes:
    """A UDP frame of 60 bytes to a port, plus a VLAN tag of 4."""
    ip = bytearray(IP_UDP)
    ip[24:26] = port.to_bytes(2, "big")
    return UDP + vlan + bytes(ip) + bytes(FRAME_BYTES - len(UDP) - len(ip))


def offered(engine: Engine) -> int:
    return int(engine.status()["ports"][0]["offered"])


def assert_whole(report: Json) -> None:
    """The ledger of every port holds and nothing was lost."""
    assert report["balanced"] is True
    assert report["lost"] == 0
    assert all(port["wire"]["agrees"] is True for port in report["ports"])


@pytest.mark.parametrize("option", [("-c", "100"), ("-a", "packets:100")], ids=["c", "a-packets"])
def test_a_run_ends_after_so_many_frames_and_counts_the_excess(
    link: Lab, tmp_path: Path, option: tuple[str, str]
) -> None:
    output = tmp_path / "x.pcapng"
    with capturing(link.right, output, *option) as engine:
        numbered(link.left, 5000)
        report = engine.finish()
    port = report["ports"][0]
    assert report["stop_reason"] == "packets"
    assert port["stored"] == 100
    assert port["excess"] == port["offered"] - 100
    assert_whole(report)
    frames = capturefile.read(output).frames
    assert [int.from_bytes(frame[14:22], "big") for frame in frames] == list(range(100))


def test_a_run_ends_when_the_file_has_its_size(link: Lab, tmp_path: Path) -> None:
    output = tmp_path / "x.pcapng"
    with capturing(link.right, output, "-a", "filesize:100") as engine:
        numbered(link.left, 5000)
        report = engine.finish()
    port, file = report["ports"][0], report["files"][0]
    assert report["stop_reason"] == "filesize"
    assert file["size_bytes"] == output.stat().st_size >= 100_000
    assert 0 < port["stored"] == len(capturefile.read(output).packets) < 1100
    assert port["stored"] + port["excess"] == port["offered"]
    assert_whole(report)


def test_a_run_ends_after_its_duration_by_itself(link: Lab, tmp_path: Path) -> None:
    output = tmp_path / "x.pcapng"
    with capturing(link.right, output, "-a", "duration:0.5") as engine:
        numbered(link.left, 10)
        report = engine.finish()
    assert report["stop_reason"] == "duration"
    assert len(capturefile.read(output).packets) == report["ports"][0]["stored"]
    assert_whole(report)


def test_the_first_of_several_stop_conditions_ends_the_run(link: Lab, tmp_path: Path) -> None:
    stops = ("-a", "duration:60", "-a", "filesize:100000", "-c", "7")
    with capturing(link.right, tmp_path / "x.pcapng", *stops) as engine:
        numbered(link.left, 10)
        report = engine.finish()
    assert report["stop_reason"] == "packets"


def test_what_the_filter_refuses_is_counted(link: Lab, tmp_path: Path) -> None:
    output = tmp_path / "x.pcapng"
    wanted = [udp(53), udp(53)]
    with capturing(link.right, output, "-f", "udp port 53") as engine:
        send(link.left, udp(9), wanted[0], udp(10), wanted[1], udp(11))
        report = engine.stop()
    port = report["ports"][0]
    assert capturefile.read(output).frames == wanted
    assert (port["offered"], port["stored"], port["filtered"]) == (5, 2, 3)
    assert_whole(report)


def test_a_filter_sees_vlan_tags_that_the_kernel_stripped(link: Lab, tmp_path: Path) -> None:
    output = tmp_path / "x.pcapng"
    tagged = udp(53, bytes.fromhex("8100 a005"))
    with capturing(link.right, output, "-f", "vlan 5 and udp port 53") as engine:
        send(link.left, udp(53), tagged, udp(53, bytes.fromhex("8100 0006")))
        report = engine.stop()
    assert capturefile.read(output).frames == [tagged]
    assert report["ports"][0]["filtered"] == 2
    assert_whole(report)


def test_excess_is_told_apart_from_what_the_filter_refused(link: Lab, tmp_path: Path) -> None:
    output = tmp_path / "x.pcapng"
    with capturing(link.right, output, "-f", "udp port 53", "-c", "1") as engine:
        send(link.left, *[udp(9)] * 3, *[udp(53)] * 4)
        report = engine.finish()
    port = report["ports"][0]
    assert capturefile.read(output).frames == [udp(53)]
    assert (port["stored"], port["filtered"]) == (1, 3)
    assert port["offered"] == 4 + port["excess"]
    assert_whole(report)


@pytest.mark.parametrize("snap_bytes", [1, 13, 14, 60, 64, 1000])
def test_a_snapshot_keeps_the_original_length_also_of_tagged_frames(
    link: Lab, tmp_path: Path, snap_bytes: int
) -> None:
    output = tmp_path / "x.pcapng"
    sent = [udp(53), udp(53, bytes.fromhex("8100 0005")), udp(53) + bytes(1400)]
    with capturing(link.right, output, "-s", str(snap_bytes)) as engine:
        send(link.left, *sent)
        report = engine.stop()
    packets = capturefile.read(output).packets
    assert [packet.data for packet in packets] == [frame[:snap_bytes] for frame in sent]
    assert [packet.length_bytes for packet in packets] == [len(frame) for frame in sent]
    assert report["ports"][0]["bytes_stored"] == sum(len(packet.data) for packet in packets)
    assert_whole(report)
    assert capturefile.complaints(output) == []


def test_directions_are_interfaces_and_flags_of_their_own(link: Lab, tmp_path: Path) -> None:
    output = tmp_path / "x.pcapng"
    with capturing(link.right, output) as engine:
        send(link.left, udp(1), udp(2))
        send(link.right, udp(3))
        report = engine.stop()
    capture = capturefile.read(output)
    assert capture.interfaces == [f"{link.right.port}:rx", f"{link.right.port}:tx"]
    assert [(packet.interface, packet.direction) for packet in capture.packets] == [
        (0, "in"),
        (0, "in"),
        (1, "out"),
    ]
    assert capture.frames == [udp(1), udp(2), udp(3)]
    assert report["ports"][0]["direction"] == "both"
    assert_whole(report)


@pytest.mark.parametrize(("direction", "frames"), [("in", [udp(1)]), ("out", [udp(2), udp(3)])])
def test_frames_of_an_unwanted_direction_are_not_offered(
    link: Lab, tmp_path: Path, direction: str, frames: list[bytes]
) -> None:
    output = tmp_path / "x.pcapng"
    with capturing(link.right, output, "-d", direction) as engine:
        send(link.left, udp(1))
        send(link.right, udp(2), udp(3))
        report = engine.stop()
    capture = capturefile.read(output)
    assert capture.frames == frames
    assert len(capture.interfaces) == 1
    assert {packet.direction for packet in capture.packets} == {direction}
    assert report["ports"][0]["offered"] == len(frames)
    assert report["ports"][0]["direction"] == direction
    assert_whole(report)


def test_two_ports_share_a_file_and_each_has_its_own_ledger(link: Lab, tmp_path: Path) -> None:
    output = tmp_path / "x.pcapng"
    link.right.run("ip", "link", "add", "near", "type", "veth", "peer", "name", "far")
    link.right.run("ip", "link", "set", "near", "up")
    link.right.run("ip", "link", "set", "far", "up")
    near, far = End(link.right.namespace, "near"), End(link.right.namespace, "far")
    argv = ft_capture("-i", "near", "-i", link.right.port, "-w", output)
    with running(link.right, argv) as engine:
        send(far, udp(1), udp(2))
        send(near, udp(3))
        numbered(link.left, 1000)
        report = engine.stop()
    capture = capturefile.read(output)
    names = [f"{port}:{way}" for port in ("near", link.right.port) for way in ("rx", "tx")]
    assert capture.interfaces == names
    by_interface = [
        [packet.data for packet in capture.packets if packet.interface == number]
        for number in range(4)
    ]
    assert by_interface[:2] == [[udp(1), udp(2)], [udp(3)]]
    assert [len(frames) for frames in by_interface[2:]] == [1000, 0]
    assert [port["stored"] for port in report["ports"]] == [3, 1000]
    assert [port["port"] for port in report["ports"]] == ["near", link.right.port]
    assert_whole(report)


def test_the_last_statistics_in_the_file_say_what_the_report_says(
    link: Lab, tmp_path: Path
) -> None:
    output = tmp_path / "x.pcapng"
    with capturing(link.right, output, "-f", "udp port 53") as engine:
        send(link.left, udp(9), udp(53))
        report = engine.stop()
    port = report["ports"][0]
    assert capturefile.read(output).last_statistics(0) == {
        "received": port["offered"],
        "missed": port["dropped"]["adapter"],
        "accepted": port["offered"] - port["filtered"],
        "os_drops": port["dropped"]["kernel"],
        "delivered": port["stored"],
    }


def test_the_report_names_the_file_its_hash_and_its_first_and_last_stamp(
    link: Lab, tmp_path: Path
) -> None:
    output = tmp_path / "x.pcapng"
    with capturing(link.right, output) as engine:
        numbered(link.left, 100)
        assert engine.status()["files"][0]["path"] == str(output)
        report = engine.stop()
    packets = capturefile.read(output).packets
    file = report["files"][0]
    digest = subprocess.run(["sha256sum", output], capture_output=True, text=True, check=True)
    assert file["path"] == str(output)
    assert file["packets"] == len(packets) == 100
    assert file["bytes"] == sum(len(packet.data) for packet in packets)
    assert (file["first_ns"], file["last_ns"]) == (packets[0].stamp_ns, packets[-1].stamp_ns)
    assert digest.stdout.split()[0] == file["sha256"]
    assert report["started_ns"] <= file["first_ns"] <= file["last_ns"] <= report["stopped_ns"]


def test_a_capture_of_nothing_is_a_sound_file(link: Lab, tmp_path: Path) -> None:
    output = tmp_path / "x.pcapng"
    with capturing(link.right, output) as engine:
        report = engine.stop()
    assert capturefile.read(output).packets == []
    assert capturefile.complaints(output) == []
    assert report["files"][0]["first_ns"] is None
    assert_whole(report)


def test_without_q_the_ledger_is_summed_up_in_words(link: Lab) -> None:
    argv = [program("ft-capture"), "-i", link.right.port, "-w", "null:", "-f", "udp port 53"]
    with running(link.right, argv) as engine:
        send(link.left, udp(53), udp(9))
        engine.stop()
        words = engine.words()
    port = link.right.port
    assert words.splitlines() == [
        f"ft-capture: {port}: 2 frames offered, 1 stored",
        f"ft-capture: {port}: 1 not wanted by the filter",
        "ft-capture: null:: 0 frames lost; the ledger balances",
    ]


def test_null_counts_and_keeps_nothing(link: Lab, tmp_path: Path) -> None:
    with capturing(link.right, "null:") as engine:
        numbered(link.left, 1000)
        report = engine.stop()
    assert report["ports"][0]["stored"] == 1000
    assert report["files"] == []
    assert_whole(report)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


def test_a_capture_on_stdout_is_read_while_it_runs(link: Lab, tmp_path: Path) -> None:
    fields = tmp_path / "fields"
    with fields.open("w") as shown, capturing(link.right, "-", stdout=subprocess.PIPE) as engine:
        command = [tool("tshark"), "-l", "-n", "-r", "-", "-T", "fields", "-e", "udp.dstport"]
        with subprocess.Popen(
            command, stdin=engine.process.stdout, stdout=shown, stderr=subprocess.DEVNULL
        ) as reader:
            assert engine.process.stdout is not None
            engine.process.stdout.close()
            send(link.left, udp(53), udp(54))
            wait_until("tshark shows the frames", lambda: fields.read_text() == "53\n54\n")
            report = engine.stop()
            assert reader.wait() == 0
    assert report["ports"][0]["stored"] == 2
    assert_whole(report)


def test_a_reader_of_stdout_that_leaves_ends_the_run_with_a_true_ledger(link: Lab) -> None:
    with capturing(link.right, "-", stdout=subprocess.PIPE) as engine:
        assert engine.process.stdout is not None
        engine.process.stdout.close()
        numbered(link.left, 1000)
        assert engine.wait() == 1
        report, words = engine.report(), engine.words()
    assert len(words.splitlines()) == 1
    assert "writing -: Broken pipe" in words
    assert report["stop_reason"] == "output closed"
    assert report["balanced"] is True
    assert report["lost"] == report["ports"][0]["dropped"]["disk"] > 0
