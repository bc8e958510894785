"""The inventory over synthetic /sys trees: adapters that are not plugged into this machine.

Attribute names, formats and the odd values are those that kernels print; the machines are made up.
"""

import struct
from dataclasses import replace
from pathlib import Path

import pytest
from fieldtap_hardware import ethtool
from fieldtap_hardware.pci import PciFunction
from fieldtap_hardware.ports import Device, InventoryError, Kernel, Port, Stacked, read_ports

PORT_FILES = {
    "address": "02:00:00:00:00:01\n",
    "carrier": "1\n",
    "flags": "0x1003\n",
    "ifindex": "4\n",
    "mtu": "1500\n",
    "speed": "10000\n",
    "type": "1\n",
    "queues/rx-0/rps_cpus": "00\n",
    "queues/rx-1/rps_cpus": "00\n",
    "queues/tx-0/xps_cpus": "00\n",
}
ROOT_PORT = "devices/pci0000:00/0000:00:1c.0"


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def pci_function(path: Path, device_id: str, speed: str, width: str, maximum: str) -> Path:
    vendor, device = device_id.split(":")
    return write(
        path,
        {
            "vendor": f"0x{vendor}\n",
            "device": f"0x{device}\n",
            "current_link_speed": f"{speed} GT/s PCIe\n",
            "current_link_width": f"{width}\n",
            "max_link_speed": "8.0 GT/s PCIe\n",
            "max_link_width": f"{maximum}\n",
        },
    )


def adapter_port(function: Path, name: str, **files: str) -> Path:
    port = write(function / "net" / name, PORT_FILES | files)
    (port / "device").symlink_to(function)
    bus = write(function.parents[-2] / "bus", {"pci/drivers_autoprobe": "1\n"}) / "pci"
    (function / "subsystem").unlink(missing_ok=True)
    (function / "subsystem").symlink_to(bus)
    return port


def recording(*ports: Path) -> Kernel:
    """A kernel that shows `ports`, has no driver to ask, and no addresses or routes."""
    return Kernel(
        devices=lambda: [Device(path) for path in ports],
        indexes=lambda: {(path.name, int((path / "ifindex").read_text())) for path in ports},
        ask_driver=lambda port, request: None,
        dump=lambda request: b"",
        sysctl=Path("/nonexistent"),
    )


def read_one(path: Path) -> Port:
    (port,) = read_ports(recording(path))
    return port


def test_an_adapter_shows_its_link_and_those_up_to_the_root_port(tmp_path: Path) -> None:
    root = pci_function(tmp_path / ROOT_PORT, "8086:a110", "8.0", "4", "4")
    function = pci_function(root / "0000:01:00.0", "1924:0903", "8.0", "4", "8")
    write(function, {"numa_node": "1\n"})
    port = read_one(adapter_port(function, "enp1s0f0"))
    adapter = PciFunction(
        address="0000:01:00.0",
        device_id="1924:0903",
        link_gtps=8.0,
        link_width=4,
        max_link_gtps=8.0,
        max_link_width=8,
        payload_bytes=None,
        removable=False,
    )
    assert port.pci[0] == adapter
    assert [hop.address for hop in port.pci] == ["0000:01:00.0", "0000:00:1c.0"]
    assert (port.bus, port.bus_address, port.numa_node) == ("pci", "0000:01:00.0", 1)
    assert (port.speed_bps, port.up, port.carrier) == (10_000_000_000, True, True)
    assert (port.rx_queues, port.tx_queues, port.virtual) == (2, 1, False)


def test_what_firmware_calls_removable_is_removable(tmp_path: Path) -> None:
    root = pci_function(tmp_path / ROOT_PORT, "8086:9a23", "2.5", "4", "4")
    function = pci_function(root / "0000:01:00.0", "1924:0903", "2.5", "4", "8")
    write(function, {"removable": "removable\n"})
    port = read_one(adapter_port(function, "enp1s0f0"))
    assert [hop.removable for hop in port.pci] == [True, False]


def test_a_usb_adapter_does_not_pass_for_its_controller_on_pci(tmp_path: Path) -> None:
    controller = pci_function(tmp_path / ROOT_PORT, "8086:a12f", "8.0", "4", "4")
    interface = controller / "usb1" / "1-2" / "1-2:1.0"
    port_path = write(interface / "net" / "enx0", PORT_FILES)
    (port_path / "device").symlink_to(interface)
    (interface / "subsystem").symlink_to(write(tmp_path / "bus", {"usb/x": ""}) / "usb")
    port = read_one(port_path)
    assert (port.bus, port.pci) == ("usb", ())


@pytest.mark.parametrize("speed", ["-1\n", "4294967295\n", "0\n", ""])
def test_a_speed_that_the_driver_does_not_know_is_none(tmp_path: Path, speed: str) -> None:
    assert read_one(write(tmp_path / "eth0", PORT_FILES | {"speed": speed})).speed_bps is None


def test_a_port_that_is_down_has_neither_carrier_nor_speed(tmp_path: Path) -> None:
    files = PORT_FILES | {"flags": "0x1002\n"}
    del files["carrier"], files["speed"]
    port = read_one(write(tmp_path / "eth0", files))
    assert (port.up, port.carrier, port.speed_bps) == (False, None, None)


def test_the_loopback_is_not_a_port(tmp_path: Path) -> None:
    loopback = write(tmp_path / "lo", PORT_FILES | {"type": "772\n"})
    assert read_ports(recording(loopback)) == []


def test_what_is_stacked_on_a_port_is_found_through_every_layer(tmp_path: Path) -> None:
    port = write(tmp_path / "eth0", PORT_FILES)
    vlan = write(tmp_path / "eth0.5", {"uevent": "DEVTYPE=vlan\nINTERFACE=eth0.5\n"})
    bridge = write(tmp_path / "br0", {"uevent": "DEVTYPE=bridge\nINTERFACE=br0\n"})
    (port / "upper_eth0.5").symlink_to(vlan)
    (vlan / "upper_br0").symlink_to(bridge)
    (bridge / "upper_eth0.5").symlink_to(vlan)  # the kernel forbids loops; a reader must end
    assert read_one(port).stacked == (Stacked("eth0.5", "vlan"), Stacked("br0", "bridge"))


def test_a_port_that_leaves_while_it_is_read_does_not_disturb(tmp_path: Path) -> None:
    stays = write(tmp_path / "eth0", PORT_FILES)
    gone = tmp_path / "eth1"
    kernel = recording(stays)
    leaving = replace(kernel, devices=lambda: [Device(stays), Device(gone)])
    assert [port.name for port in read_ports(leaving)] == ["eth0"]


def test_a_sys_of_another_namespace_is_refused_in_one_line(tmp_path: Path) -> None:
    theirs = write(tmp_path / "eth0", PORT_FILES)
    kernel = recording(theirs)
    elsewhere = replace(kernel, indexes=lambda: {("veth0", 2)})
    with pytest.raises(InventoryError, match=r"^/sys does not show veth0.*ip netns exec`[^\\n]*$"):
        read_ports(elsewhere)


def test_a_kernel_that_refuses_to_tell_addresses_is_an_error_in_one_line(tmp_path: Path) -> None:
    def refuse(request: int) -> bytes:
        raise PermissionError(1, "Operation not permitted")

    kernel = Kernel(devices=list, indexes=set, dump=refuse)
    with pytest.raises(InventoryError, match="Operation not permitted"):
        read_ports(kernel)


def test_what_the_driver_says_reaches_the_port(tmp_path: Path) -> None:
    def driver(port: str, request: bytes) -> bytes | None:
        if request != ethtool.GDRVINFO:
            return None
        identity = struct.pack("=I32s32s32s", 3, b"sfc", b"6.1.0", b"6.2.7.1001 rx1 tx1")
        return identity.ljust(len(request), b"\0")

    kernel = recording(write(tmp_path / "eth0", PORT_FILES))
    (port,) = read_ports(replace(kernel, ask_driver=driver))
    assert (port.driver, port.driver_version) == ("sfc", "6.1.0")
    assert port.firmware == "6.2.7.1001 rx1 tx1"
    assert port.timestamping is None
