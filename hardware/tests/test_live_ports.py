"""The inventory and the checks over real ports, in a network namespace that each test makes."""

import itertools
import os
import re
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from fieldtap_hardware.engine import read_program
from fieldtap_hardware.ports import Port, read_ports
from fieldtap_hardware.storage import Storage, read_storage
from fieldtap_hardware.verdicts import Check, Report, Verdict

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root for network namespaces and mounts"),
    pytest.mark.skipif(shutil.which("ip") is None, reason="needs the program ip (iproute2)"),
]

READ_PORTS = """
import msgspec, sys
from fieldtap_hardware.ports import read_ports
sys.stdout.buffer.write(msgspec.json.encode(read_ports()))
"""
RUN_CHECKS = """
import msgspec, pathlib, sys
from fieldtap_hardware.checks import run_checks
from fieldtap_hardware.ports import read_ports
ports = [port for port in read_ports() if port.name in sys.argv[2:]]
sys.stdout.buffer.write(msgspec.json.encode(run_checks(ports, pathlib.Path(sys.argv[1]))))
"""
PATIENCE_S = 10
numbers = itertools.count()


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


class Lab:
    """A namespace with the joined ports fta and ftb, both up, IPv6 as the kernel has it."""

    def __init__(self, name: str) -> None:
        self.name = name

    def run(self, *command: str) -> str:
        return run("ip", "netns", "exec", self.name, *command)

    def ports(self) -> dict[str, Port]:
        answer = self.run(sys.executable, "-c", READ_PORTS)
        return {port.name: port for port in msgspec.json.decode(answer, type=list[Port])}

    def report(self, directory: Path, *ports: str) -> Report:
        answer = self.run(sys.executable, "-c", RUN_CHECKS, str(directory), *ports)
        return msgspec.json.decode(answer, type=Report)

    def check(self, identifier: str, port: str) -> Check:
        (check,) = (c for c in self.report(Path("/"), port).checks if c.id == identifier)
        return check

    def silent(self, port: str) -> Verdict:
        return self.check("port.silent", port).verdict

    def no_ipv6(self) -> None:
        for port in ("fta", "ftb"):
            self.run("sysctl", "-qw", f"net/ipv6/conf/{port}/disable_ipv6=1")


@pytest.fixture
def lab() -> Iterator[Lab]:
    lab = Lab(f"fthw-{os.getpid()}-{next(numbers)}")
    run("ip", "netns", "add", lab.name)
    try:
        entered = subprocess.run(["ip", "netns", "exec", lab.name, "true"], check=False)
        if entered.returncode != 0:
            pytest.skip("`ip netns exec` cannot show a namespace its own /sys here")
        lab.run("ip", "link", "add", "fta", "type", "veth", "peer", "name", "ftb")
        for port in ("fta", "ftb"):
            lab.run("ip", "link", "set", "dev", port, "up")
        yield lab
    finally:
        run("ip", "netns", "del", lab.name)


@pytest.fixture
def quiet_lab(lab: Lab) -> Lab:
    """The same without IPv6, hence without addresses."""
    lab.no_ipv6()
    return lab


def eventually(condition: Callable[[], bool]) -> None:
    """Wait for what the kernel does in its own time."""
    give_up_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < give_up_s, "the kernel did not get there"
        time.sleep(0.05)


# --- the inventory --------------------------------------------------------------------------------


def test_the_ports_of_a_namespace_are_listed_and_no_others(quiet_lab: Lab) -> None:
    ports = quiet_lab.ports()
    assert sorted(ports) == ["fta", "ftb"]
    fta = ports["fta"]
    assert (fta.driver, fta.virtual, fta.bus, fta.pci) == ("veth", True, None, ())
    assert (fta.up, fta.carrier, fta.mtu_bytes) == (True, True, 1500)
    assert fta.speed_bps == 10_000_000_000  # what the veth driver says
    assert (fta.addresses, fta.default_route, fta.master) == ((), False, None)


def test_addresses_and_the_default_route_are_those_of_ip(lab: Lab) -> None:
    lab.run("ip", "address", "add", "192.0.2.1/24", "dev", "fta")
    lab.run("ip", "address", "add", "192.0.2.9/24", "dev", "fta")
    lab.run("ip", "address", "add", "2001:db8::1/64", "dev", "fta", "nodad")
    lab.run("ip", "route", "add", "default", "via", "192.0.2.254", "table", "77")
    eventually(lambda: "fe80" in lab.run("ip", "-6", "address", "show", "dev", "ftb"))
    ports = lab.ports()
    assert {"192.0.2.1/24", "192.0.2.9/24", "2001:db8::1/64"} <= set(ports["fta"].addresses)
    for port in ports.values():
        shown = lab.run("ip", "-br", "address", "show", "dev", port.name).split()[2:]
        assert sorted(port.addresses) == sorted(shown)
    assert (ports["fta"].default_route, ports["ftb"].default_route) == (True, False)


@pytest.mark.skipif(shutil.which("ethtool") is None, reason="needs the program ethtool")
def test_what_drivers_say_agrees_with_ethtool() -> None:
    """Over the ports of this machine, whatever they are; nothing is sent or changed."""
    for port in read_ports():
        said = subprocess.run(["ethtool", "-i", port.name], capture_output=True, text=True)
        lines = dict(line.partition(": ")[::2] for line in said.stdout.splitlines())
        assert (port.driver or "") == lines.get("driver", port.driver or "")
        assert (port.firmware or "") in (lines.get("firmware-version", ""), "")
        stamping = subprocess.run(["ethtool", "-T", port.name], capture_output=True, text=True)
        if port.timestamping is not None:
            assert port.timestamping.host_rx == ("software-receive" in stamping.stdout)
            assert port.timestamping.adapter_rx_all == bool(
                re.search(r"^\tall\b", stamping.stdout, re.MULTILINE)
            )


def test_the_sys_of_another_namespace_is_refused(lab: Lab) -> None:
    """`nsenter --net` changes the namespace and leaves /sys as it was."""
    outcome = subprocess.run(
        ["nsenter", f"--net=/run/netns/{lab.name}", sys.executable, "-c", READ_PORTS],
        capture_output=True,
        text=True,
    )
    assert outcome.returncode != 0
    assert outcome.stderr.splitlines()[-1].startswith(
        "fieldtap_hardware.ports.InventoryError: /sys does not show fta"
    )


def test_a_port_whose_name_is_not_text_is_an_error_in_one_line(lab: Lab) -> None:
    subprocess.run(
        [b"ip", b"-n", lab.name.encode(), b"link", b"add", b"a\xffb", b"type", b"veth"], check=True
    )
    outcome = subprocess.run(
        ["ip", "netns", "exec", lab.name, sys.executable, "-c", READ_PORTS],
        capture_output=True,
        text=True,
    )
    assert outcome.stderr.splitlines()[-1].startswith(
        "fieldtap_hardware.ports.InventoryError: a port has a name that is not UTF-8"
    )


# --- silence --------------------------------------------------------------------------------------


def test_a_port_in_a_bridge_fails_and_out_of_it_is_ok_again(quiet_lab: Lab) -> None:
    assert quiet_lab.silent("fta") is Verdict.OK
    quiet_lab.run("ip", "link", "add", "ftbr", "type", "bridge")
    quiet_lab.run("ip", "link", "set", "dev", "fta", "master", "ftbr")
    in_bridge = quiet_lab.check("port.silent", "fta")
    assert (in_bridge.verdict, in_bridge.summary) == (
        Verdict.FAIL,
        "is part of the bridge ftbr",
    )
    assert quiet_lab.silent("ftb") is Verdict.OK
    follow(quiet_lab, in_bridge)
    assert quiet_lab.silent("fta") is Verdict.OK


def test_a_device_on_the_port_is_a_warning_and_a_failure_once_it_is_bridged(
    quiet_lab: Lab,
) -> None:
    quiet_lab.run("ip", "link", "add", "ftmac", "link", "fta", "type", "macvlan")
    stacked = quiet_lab.check("port.silent", "fta")
    assert stacked.verdict is Verdict.WARN
    assert stacked.evidence["stacked"] == ["ftmac (macvlan)"]
    quiet_lab.run("ip", "link", "add", "ftbr", "type", "bridge")
    quiet_lab.run("ip", "link", "set", "dev", "ftmac", "master", "ftbr")
    assert quiet_lab.silent("fta") is Verdict.FAIL
    quiet_lab.run("ip", "link", "del", "ftbr")
    follow(quiet_lab, stacked)
    assert quiet_lab.silent("fta") is Verdict.OK


def test_the_address_that_the_kernel_gives_is_a_warning_and_its_remedy_silences(lab: Lab) -> None:
    eventually(lambda: lab.silent("fta") is Verdict.WARN)
    check = lab.check("port.silent", "fta")
    assert "IPv6" in check.summary
    follow(lab, check)
    assert lab.silent("fta") is Verdict.OK


def test_an_address_is_a_warning_and_with_forwarding_a_failure(quiet_lab: Lab) -> None:
    quiet_lab.run("sysctl", "-qw", "net/ipv4/conf/fta/forwarding=0")
    quiet_lab.run("ip", "address", "add", "192.0.2.1/24", "dev", "fta")
    assert quiet_lab.silent("fta") is Verdict.WARN
    quiet_lab.run("sysctl", "-qw", "net/ipv4/conf/fta/forwarding=1")
    forwards = quiet_lab.check("port.silent", "fta")
    assert forwards.verdict is Verdict.FAIL
    follow(quiet_lab, forwards)
    speaks = quiet_lab.check("port.silent", "fta")
    assert speaks.verdict is Verdict.WARN
    follow(quiet_lab, speaks)
    assert quiet_lab.silent("fta") is Verdict.OK


def follow(lab: Lab, check: Check) -> None:
    """Do what the remedy of `check` says: run its commands."""
    assert check.remedy is not None
    commands = re.findall(r"`([^`]+)`", check.remedy)
    assert commands
    for command in commands:
        lab.run(*command.split())


# --- link -----------------------------------------------------------------------------------------


def test_a_port_without_carrier_fails_and_so_does_one_that_is_down(quiet_lab: Lab) -> None:
    assert quiet_lab.check("port.link", "fta").verdict is Verdict.OK
    quiet_lab.run("ip", "link", "set", "dev", "ftb", "down")
    eventually(lambda: quiet_lab.check("port.link", "fta").summary == "has no carrier")
    assert quiet_lab.check("port.link", "fta").verdict is Verdict.FAIL
    down = quiet_lab.check("port.link", "ftb")
    assert (down.verdict, down.summary) == (Verdict.FAIL, "is down")
    follow(quiet_lab, down)
    eventually(lambda: quiet_lab.check("port.link", "ftb").verdict is Verdict.OK)


# --- storage and programs -------------------------------------------------------------------------


def test_storage_agrees_with_df_and_time_left_is_space_over_rate(
    quiet_lab: Lab, tmp_path: Path
) -> None:
    run("mount", "-t", "tmpfs", "-o", "size=64M", "none", str(tmp_path))
    try:
        (tmp_path / "ballast").write_bytes(bytes(1 << 20))
        _, df = run("df", "-B1", "--output=size,avail", str(tmp_path)).splitlines()
        report = quiet_lab.report(tmp_path, "fta", "ftb")
    finally:
        run("umount", str(tmp_path))
    (check,) = (check for check in report.checks if check.id == "storage.space")
    size_bytes, available_bytes = map(int, df.split())
    assert check.evidence["size_bytes"] == size_bytes
    assert check.evidence["available_bytes"] == available_bytes
    assert check.evidence["line_rate_bps"] == 20_000_000_000
    assert check.verdict is Verdict.FAIL  # 64 MiB at twice 10 Gb/s
    for frames in ("64_byte_frames", "1518_byte_frames"):
        rate = check.evidence[f"bytes_per_second_{frames}"]
        assert isinstance(rate, int)
        assert check.evidence[f"seconds_left_{frames}"] == available_bytes // rate


def test_storage_of_this_machine_is_that_of_statvfs(tmp_path: Path) -> None:
    storage = read_storage(tmp_path)
    figures = os.statvfs(tmp_path)
    assert isinstance(storage, Storage)
    assert storage.size_bytes == figures.f_blocks * figures.f_frsize
    assert storage.writable


def test_capabilities_set_on_a_program_are_read_from_it(tmp_path: Path) -> None:
    program = tmp_path / "program"
    shutil.copy("/bin/true", program)
    assert read_program(program).file_capabilities == 0
    raised = struct.pack("<IIIII", 0x02000001, 1 << 12 | 1 << 13, 0, 0, 0)
    os.setxattr(program, "security.capability", raised)
    found = read_program(program)
    assert (found.exists, found.executable, found.file_capabilities) == (True, True, 0x3000)
    assert found.missing() == []


def test_a_program_that_root_starts_has_roots_capabilities(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert read_program(program).missing() == []
