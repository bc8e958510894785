"""What a capture changes on its port, and that the port gets it back, even after kill -9."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import capturefile
import pytest
from fieldlab import (
    END_TIMEOUT_S,
    End,
    Engine,
    Lab,
    capturing,
    ft_capture,
    running,
    tool,
    wait_until,
)

MTU_BYTES = 1500
TRANSFER_BYTES = 20_000_000
SERVE = """
import socket
with socket.create_server(("192.0.2.2", 5001)) as server:
    print("listening", flush=True)
    connection = server.accept()[0]
    while connection.recv(1 << 20):
        pass
"""
SEND = f"""
import socket
with socket.create_connection(("192.0.2.2", 5001)) as connection:
    connection.sendall(bytes({TRANSFER_BYTES}))
"""


def promiscuity(end: End) -> int:
    """Return how many users want the port promiscuous."""
    shown = json.loads(end.run("ip", "-j", "-d", "link", "show", end.port).stdout)
    return int(shown[0]["promiscuity"])


def feature(end: End, name: str) -> bool:
    shown = end.run(tool("ethtool"), "-k", end.port).stdout
    match = re.search(rf"^{name}: (on|off)", shown, re.MULTILINE)
    assert match is not None
    return match[1] == "on"


def set_feature(end: End, name: str, value: str) -> None:
    end.run(tool("ethtool"), "-K", end.port, name, value)


def has_xdp_program(end: End) -> bool:
    return "xdp" in end.run("ip", "-d", "link", "show", end.port).stdout


def give_addresses(link: Lab) -> None:
    for end, address in ((link.left, "192.0.2.1/24"), (link.right, "192.0.2.2/24")):
        end.run("ip", "address", "add", address, "dev", end.port)


def transfer(link: Lab) -> None:
    """Send TCP from left to right."""
    server = link.right.start(sys.executable, "-c", SERVE, stdout=-1)
    assert server.stdout is not None
    server.stdout.readline()
    link.left.run(sys.executable, "-c", SEND)
    assert server.wait(END_TIMEOUT_S) == 0


def test_a_port_is_promiscuous_during_a_capture_and_no_longer_after_kill_9(
    link: Lab, tmp_path: Path
) -> None:
    assert promiscuity(link.right) == 0
    with capturing(link.right, tmp_path / "x.pcapng") as engine:
        assert promiscuity(link.right) == 1
        engine.send_signal(signal.SIGKILL)
        engine.wait()
        assert promiscuity(link.right) == 0


def test_a_port_is_no_longer_promiscuous_after_a_clean_end(link: Lab, tmp_path: Path) -> None:
    with capturing(link.right, tmp_path / "x.pcapng") as engine:
        engine.stop()
    assert promiscuity(link.right) == 0


def test_with_p_a_port_is_not_made_promiscuous(link: Lab, tmp_path: Path) -> None:
    with capturing(link.right, tmp_path / "x.pcapng", "-p") as engine:
        assert promiscuity(link.right) == 0
        report = engine.stop()
    assert report["ports"][0]["adapter"]["promiscuous"] is False


def test_gro_is_off_during_a_capture_and_on_again_after_it(link: Lab, tmp_path: Path) -> None:
    set_feature(link.right, "gro", "on")
    with capturing(link.right, tmp_path / "x.pcapng") as engine:
        assert not feature(link.right, "generic-receive-offload")
        engine.stop()
    assert feature(link.right, "generic-receive-offload")
    assert not has_xdp_program(link.right)


def test_gro_that_was_off_stays_off(link: Lab, tmp_path: Path) -> None:
    set_feature(link.right, "gro", "off")
    with capturing(link.right, tmp_path / "x.pcapng") as engine:
        engine.stop()
    assert not feature(link.right, "generic-receive-offload")


def test_gro_stays_off_until_the_last_of_two_captures_of_a_port_ends(
    link: Lab, tmp_path: Path
) -> None:
    set_feature(link.right, "gro", "on")
    with capturing(link.right, tmp_path / "1.pcapng", name="first") as first:
        with capturing(link.right, tmp_path / "2.pcapng", name="second") as second:
            first.stop()
            assert not feature(link.right, "generic-receive-offload")
            second.stop()
        assert feature(link.right, "generic-receive-offload")


def kill_with_guardian(engine: Engine) -> None:
    """End an engine and who looks after its ports, as a crash of the machine's memory would."""
    pid = str(engine.process.pid)
    subprocess.run([tool("pkill"), "-KILL", "-P", pid, "-x", "ft-guardian"], check=True)
    engine.send_signal(signal.SIGKILL)
    engine.wait()


def test_after_kill_9_gro_is_switched_on_again_at_once(link: Lab, tmp_path: Path) -> None:
    set_feature(link.right, "gro", "on")
    with capturing(link.right, tmp_path / "x.pcapng") as engine:
        engine.send_signal(signal.SIGKILL)
        engine.wait()
        wait_until("GRO on", lambda: feature(link.right, "generic-receive-offload"))


def test_after_kill_9_of_all_the_next_start_on_any_port_switches_gro_on_again(
    link: Lab, tmp_path: Path
) -> None:
    set_feature(link.right, "gro", "on")
    with capturing(link.right, tmp_path / "x.pcapng") as engine:
        kill_with_guardian(engine)
    assert not feature(link.right, "generic-receive-offload")
    argv = ft_capture("-i", "lo", "-w", "null:")
    with running(link.right, argv) as other:
        assert feature(link.right, "generic-receive-offload")
        other.stop()


def test_after_kill_9_of_all_the_next_capture_of_the_same_port_ends_with_gro_on(
    link: Lab, tmp_path: Path
) -> None:
    set_feature(link.right, "gro", "on")
    with capturing(link.right, tmp_path / "x.pcapng") as engine:
        kill_with_guardian(engine)
    with capturing(link.right, tmp_path / "x.pcapng") as engine:
        assert not feature(link.right, "generic-receive-offload")
        engine.stop()
    assert feature(link.right, "generic-receive-offload")


def test_a_tcp_transfer_with_gro_and_tso_on_stores_no_frame_above_the_mtu(
    link: Lab, tmp_path: Path
) -> None:
    give_addresses(link)
    set_feature(link.right, "gro", "on")
    set_feature(link.left, "tso", "on")
    output = tmp_path / "tcp.pcapng"
    with capturing(link.right, output) as engine:
        transfer(link)
        report = engine.stop()
    packets = capturefile.read(output).packets
    port = report["ports"][0]
    assert max(packet.length_bytes for packet in packets) == MTU_BYTES + 14
    assert sum(packet.length_bytes for packet in packets) > TRANSFER_BYTES
    assert port["stored"] == len(packets)
    assert port["coalesced"] == report["lost"] == 0
    assert report["balanced"] is True
    assert port["wire"]["agrees"] is True


def test_allowed_joined_frames_are_counted(link: Lab, tmp_path: Path) -> None:
    give_addresses(link)
    set_feature(link.right, "gro", "on")
    set_feature(link.left, "tso", "on")
    output = tmp_path / "tcp.pcapng"
    with capturing(link.right, output, "--allow-coalesced") as engine:
        assert feature(link.right, "generic-receive-offload")
        transfer(link)
        report = engine.stop()
    packets = capturefile.read(output).packets
    joined = [packet for packet in packets if packet.length_bytes > MTU_BYTES + 14 + 8]
    assert report["ports"][0]["coalesced"] == len(joined) > 0
    assert report["balanced"] is True


@pytest.mark.parametrize("direction", ["in", "both"])
def test_a_link_that_goes_down_and_up_during_a_capture_does_not_end_it(
    link: Lab, tmp_path: Path, direction: str
) -> None:
    output = tmp_path / "x.pcapng"
    frame = bytes.fromhex("02000000000202000000000188b5") + bytes(46)
    send = (
        "import socket; s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW);"
        f"s.bind(('{link.left.port}', 0)); s.send({frame!r})"
    )
    with capturing(link.right, output, "-d", direction) as engine:
        link.left.run("ip", "link", "set", link.left.port, "down")
        link.right.run("ip", "link", "set", link.right.port, "down")
        link.right.run("ip", "link", "set", link.right.port, "up")
        link.left.run("ip", "link", "set", link.left.port, "up")
        link.left.run(sys.executable, "-c", send)
        report = engine.stop()
    assert capturefile.read(output).frames == [frame]
    assert report["balanced"] is True


def test_a_port_that_is_removed_ends_the_run_with_all_that_it_gave(
    link: Lab, tmp_path: Path
) -> None:
    output = tmp_path / "x.pcapng"
    sender = Path(__file__).with_name("numbered_sender.py")
    with capturing(link.right, output) as engine:
        link.left.run(sys.executable, sender, link.left.port, "1000")
        link.right.run("ip", "link", "del", link.right.port)
        assert engine.wait() == 1
        report = engine.report()
        words = engine.words()
    assert words == f"ft-capture: port '{link.right.port}' is gone: its interface was removed\n"
    assert len(capturefile.read(output).packets) == report["ports"][0]["stored"] == 1000
    assert report["balanced"] is True
    assert report["stop_reason"] == "port lost"
