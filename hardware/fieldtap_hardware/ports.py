"""The inventory of ports: what is known of each, as plain values."""

import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pyudev
from msgspec import Struct

from fieldtap_hardware import ethtool, rtnetlink
from fieldtap_hardware.ethtool import (
    Offloads,
    Timestamping,
    parse_driver_info,
    parse_timestamping,
    read_connector,
    read_offloads,
)
from fieldtap_hardware.pci import PciFunction, read_pci_path
from fieldtap_hardware.sysfs import parse_int, parse_uevent, read_text

LOOPBACK_TYPE = 772  # ARPHRD_LOOPBACK
IFF_UP = 1
MAX_SPEED_MBPS = 10_000_000  # above any Ethernet: -1 and 4294967295 mean "not known"
PCI_BUSES = ("pci", "virtio", "auxiliary")  # an adapter on another bus is not itself a PCI function


class Stacked(Struct, frozen=True):
    """A network device built on top of a port, directly or through another."""

    name: str
    kind: str | None  # "bridge", "bond", "vlan", ...; None where the kernel does not say


class Port(Struct, frozen=True, kw_only=True):
    """One network port as the kernel shows it at this moment."""

    name: str
    index: int
    virtual: bool  # no device beneath it: veth, bridge, bond, VLAN, ...
    model: str | None  # vendor and device in words, from udev's hardware database
    driver: str | None
    driver_version: str | None
    firmware: str | None
    bus: str | None  # "pci", "virtio", "usb", ...
    bus_address: str | None
    pci: tuple[PciFunction, ...]  # the adapter first, the root port last; empty without PCI
    numa_node: int | None
    mac: str | None
    mtu_bytes: int | None
    speed_bps: int | None  # None while the link is down or the driver does not know
    up: bool  # switched on by the administrator
    carrier: bool | None  # None while the port is down
    rx_queues: int
    tx_queues: int
    timestamping: Timestamping | None
    master: str | None  # the bridge, bond or other device that this port belongs to
    stacked: tuple[Stacked, ...]  # everything built on the port, its master included
    addresses: tuple[str, ...]  # "192.0.2.2/24", "fe80::1/64"
    default_route: bool
    forwarding: bool  # the kernel routes frames that arrive here
    ipv6_autoconfigures: bool  # the kernel gives the port an IPv6 address once it has a carrier
    carrier_ups: int | None = None  # since the driver made the port
    carrier_downs: int | None = None
    offloads: Offloads = Offloads()
    connector: str | None = None  # "copper", "fibre", "cable", "none"; None: not known


class InventoryError(Exception):
    """The ports cannot be listed; the text says why and what to do."""


@dataclass(frozen=True)
class Device:
    """Where a network device is found in sysfs, and what udev calls its hardware."""

    path: Path  # real path, below /sys/devices
    model: str | None = None


def list_devices() -> list[Device]:
    """The network devices that /sys shows."""
    try:
        return [
            Device(Path(device.sys_path), _model(device.find_parent("pci")))
            for device in pyudev.Context().list_devices(subsystem="net")
        ]
    except UnicodeDecodeError as error:
        raise InventoryError(
            f"a port has a name that is not UTF-8, {error.object!r}: "
            "rename it with `ip link set dev NAME name NEW`"
        ) from error


def _model(function: pyudev.Device | None) -> str | None:
    # Asked of the PCI function, not of the port: udev files a port's record under its index,
    # which in another network namespace belongs to some other port.
    if function is None:
        return None
    words = (function.properties.get(f"ID_{key}_FROM_DATABASE") for key in ("VENDOR", "MODEL"))
    return " ".join(word for word in words if word) or None


def list_indexes() -> set[tuple[str, int]]:
    """Name and index of each port in this process's network namespace."""
    return {(name, index) for index, name in socket.if_nameindex()}


@dataclass(frozen=True)
class Kernel:
    """The readers that the inventory asks; tests put a recording in their place."""

    devices: Callable[[], Iterable[Device]] = list_devices
    indexes: Callable[[], set[tuple[str, int]]] = list_indexes
    ask_driver: ethtool.Query = ethtool.ask_kernel
    dump: rtnetlink.Dump = rtnetlink.dump_kernel
    sysctl: Path = Path("/proc/sys/net")


LIVE = Kernel()


def read_ports(kernel: Kernel = LIVE) -> list[Port]:
    """Every port of this network namespace by name, loopback excepted.

    Raises InventoryError when /sys belongs to another network namespace or is not mounted, when a
    name is not text, and when the kernel does not tell addresses and routes.
    """
    devices = _devices_of_namespace(kernel)
    try:
        addresses = rtnetlink.parse_addresses(kernel.dump(rtnetlink.GETADDR))
        default_routes = rtnetlink.parse_default_routes(kernel.dump(rtnetlink.GETROUTE))
    except OSError as error:
        raise InventoryError(
            f"the kernel does not tell addresses and routes: {error.strerror or error}"
        ) from error
    return [
        _read_port(device, addresses, default_routes, kernel)
        for device in devices
        if parse_int(read_text(device.path / "type"), 0, 0xFFFF) not in (None, LOOPBACK_TYPE)
    ]


def _devices_of_namespace(kernel: Kernel) -> list[Device]:
    """The devices by name, which must be those of the namespace that sockets speak to.

    /sys belongs to the namespace that mounted it, and a process may have moved on. Ports that come
    or go meanwhile prove nothing, so only those listed both before and after are missed.
    """
    before = kernel.indexes()
    devices = {(device.path.name, _index(device.path)): device for device in kernel.devices()}
    after = kernel.indexes()
    if missing := (before & after) - devices.keys():
        raise InventoryError(
            f"/sys does not show {min(missing)[0]}, it belongs to another network namespace: "
            "mount sysfs in this namespace, as `ip netns exec` does"
        )
    return [device for port, device in sorted(devices.items()) if port in before | after]


def _index(path: Path) -> int:
    return parse_int(read_text(path / "ifindex"), 1, 0x7FFFFFFF) or 0


def _read_port(
    device: Device,
    addresses: dict[int, tuple[str, ...]],
    default_routes: frozenset[int],
    kernel: Kernel,
) -> Port:
    path, name = device.path, device.path.name
    info = parse_driver_info(kernel.ask_driver(name, ethtool.GDRVINFO))
    bus = _link_name(path / "device" / "subsystem")
    pci = read_pci_path(path) if bus in PCI_BUSES else ()
    speed_mbps = parse_int(read_text(path / "speed"), 1, MAX_SPEED_MBPS)
    carrier = parse_int(read_text(path / "carrier"), 0, 1)
    index = _index(path)
    return Port(
        name=name,
        index=index,
        virtual="virtual" in path.parts,
        model=device.model,
        driver=info.driver or _link_name(path / "device" / "driver"),
        driver_version=info.version,
        firmware=info.firmware,
        bus=bus,
        bus_address=pci[0].address if pci else info.bus_address,
        pci=pci,
        numa_node=parse_int(read_text(path / "device" / "numa_node"), 0, 4095),
        mac=read_text(path / "address") or None,
        mtu_bytes=parse_int(read_text(path / "mtu"), 0, 0x7FFFFFFF),
        speed_bps=None if speed_mbps is None else speed_mbps * 1_000_000,
        up=bool((parse_int(read_text(path / "flags"), 0, 0xFFFFFFFF) or 0) & IFF_UP),
        carrier=None if carrier is None else bool(carrier),
        rx_queues=len(list(path.glob("queues/rx-*"))),
        tx_queues=len(list(path.glob("queues/tx-*"))),
        timestamping=parse_timestamping(kernel.ask_driver(name, ethtool.GET_TS_INFO)),
        master=_link_name(path / "master"),
        stacked=_read_stacked(path, kernel.ask_driver),
        addresses=addresses.get(index, ()),
        default_route=index in default_routes,
        forwarding=any(
            read_text(kernel.sysctl / family / "conf" / name / "forwarding") == "1"
            for family in ("ipv4", "ipv6")
        ),
        ipv6_autoconfigures=_autoconfigures(kernel.sysctl / "ipv6" / "conf" / name),
        carrier_ups=parse_int(read_text(path / "carrier_up_count"), 0, 0xFFFFFFFF),
        carrier_downs=parse_int(read_text(path / "carrier_down_count"), 0, 0xFFFFFFFF),
        offloads=read_offloads(name, kernel.ask_driver),
        connector=read_connector(name, kernel.ask_driver),
    )


def _link_name(link: Path) -> str | None:
    try:
        return link.readlink().name
    except OSError:
        return None


def _read_stacked(path: Path, query: ethtool.Query) -> tuple[Stacked, ...]:
    """Every device above the one at `path`, nearest first, each once."""
    found: dict[str, Stacked] = {}
    pending = [path]
    while pending:
        for link in sorted(pending.pop(0).glob("upper_*")):
            upper = link.resolve()
            if upper.name not in found:
                found[upper.name] = Stacked(upper.name, _kind(upper, query))
                pending.append(upper)
    return tuple(found.values())


def _kind(path: Path, query: ethtool.Query) -> str | None:
    declared = parse_uevent(read_text(path / "uevent")).get("DEVTYPE")
    return declared or parse_driver_info(query(path.name, ethtool.GDRVINFO)).driver


def _autoconfigures(sysctl: Path) -> bool:
    """IPv6 is on, and the way to make up a link-local address is not "none"."""
    return read_text(sysctl / "disable_ipv6") == "0" and read_text(sysctl / "addr_gen_mode") != "1"
