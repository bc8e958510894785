"""Parsers of what the kernel says: exact on what it does say, unmoved by anything else."""

import ipaddress
import socket
import struct

import pytest
from fieldtap_hardware import ethtool, rtnetlink
from fieldtap_hardware.engine import parse_file_capabilities, parse_status
from fieldtap_hardware.ethtool import DriverInfo, Timestamping
from fieldtap_hardware.sysfs import (
    clean_text,
    parse_int,
    parse_pcie_gtps,
    parse_pcie_width,
    parse_uevent,
)
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

ANY_TEXT = st.none() | st.text(max_size=60)


# --- sysfs and /proc ------------------------------------------------------------------------------


@given(st.integers(-(10**19), 10**19))
def test_a_number_reads_back_within_its_bounds_and_not_outside(number: int) -> None:
    assert parse_int(str(number), number, number) == number
    assert parse_int(str(number), number + 1, number + 2) is None


@given(ANY_TEXT)
def test_any_text_gives_a_number_within_bounds_or_none(text: str | None) -> None:
    number = parse_int(text, 1, 100)
    assert number is None or 1 <= number <= 100


@pytest.mark.parametrize("text", ["", "1_0", " 1", "+1", "٣", "0x", "1e3", "9" * 21])
def test_what_the_kernel_never_prints_is_not_a_number(text: str) -> None:
    assert parse_int(text, 0, 10**30) is None


@pytest.mark.parametrize(
    ("text", "gtps"),
    [
        ("2.5 GT/s PCIe", 2.5),
        ("5.0 GT/s PCIe", 5.0),
        ("5 GT/s", 5.0),  # before Linux 5.8
        ("8.0 GT/s PCIe", 8.0),
        ("16.0 GT/s PCIe", 16.0),
        ("Unknown", None),
        ("Unknown speed", None),
        ("9.0 GT/s PCIe", None),
        ("8.0 GB/s", None),
        (None, None),
    ],
)
def test_a_link_speed_is_one_that_pci_express_has(text: str | None, gtps: float | None) -> None:
    assert parse_pcie_gtps(text) == gtps


@given(ANY_TEXT)
def test_any_text_gives_a_real_link_speed_and_width_or_none(text: str | None) -> None:
    assert parse_pcie_gtps(text) in (None, 2.5, 5.0, 8.0, 16.0, 32.0, 64.0)
    assert parse_pcie_width(text) in (None, 1, 2, 4, 8, 12, 16, 32)


@pytest.mark.parametrize("text", ["0", "255", "3", "-1"])
def test_the_width_of_a_sleeping_device_is_not_known(text: str) -> None:
    assert parse_pcie_width(text) is None


@given(st.binary(max_size=100))
def test_no_control_character_survives(raw: bytes) -> None:
    assert all(c.isprintable() or c == "\n" for c in clean_text(raw))


@given(ANY_TEXT)
def test_any_uevent_gives_only_named_values(text: str | None) -> None:
    assert all(name and "\n" not in value for name, value in parse_uevent(text).items())


def test_a_uevent_gives_its_values() -> None:
    uevent = "DEVTYPE=bridge\nINTERFACE=br0\nnonsense\nIFINDEX=7"
    assert parse_uevent(uevent) == {"DEVTYPE": "bridge", "INTERFACE": "br0", "IFINDEX": "7"}


# --- SIOCETHTOOL ----------------------------------------------------------------------------------


def driver_info(driver: bytes, version: bytes, firmware: bytes, bus: bytes) -> bytes:
    return struct.pack("=I32s32s32s32s", 3, driver, version, firmware, bus).ljust(196, b"\0")


def ts_info(flags: int, phc_index: int, tx_types: int, rx_filters: int) -> bytes:
    return struct.pack("=IIiI12xI", 0x41, flags, phc_index, tx_types, rx_filters).ljust(44, b"\0")


def test_driver_and_firmware_are_read_up_to_their_nul() -> None:
    answer = driver_info(b"sfc\0junk", b"6.1.0", b"6.2.7.1001 rx1 tx1", b"0000:01:00.0")
    assert ethtool.parse_driver_info(answer) == DriverInfo(
        "sfc", "6.1.0", "6.2.7.1001 rx1 tx1", "0000:01:00.0"
    )


def test_a_field_that_fills_its_room_needs_no_nul() -> None:
    assert ethtool.parse_driver_info(driver_info(b"d" * 32, b"", b"", b"")).driver == "d" * 32


def test_what_a_driver_leaves_empty_or_calls_not_available_is_none() -> None:
    assert ethtool.parse_driver_info(driver_info(b"virtio_net", b"", b"N/A", b"\0")) == DriverInfo(
        "virtio_net", None, None, None
    )


STAMPS_EVERY_FRAME = Timestamping(
    phc_index=3,
    adapter_rx=True,
    adapter_rx_all=True,
    adapter_tx=True,
    host_rx=True,
    host_tx=True,
)


def test_an_adapter_that_stamps_every_frame_is_told_from_one_that_stamps_ptp() -> None:
    every = ethtool.parse_timestamping(ts_info(0x5F, 3, 0b11, 0b11))
    ptp_only = ethtool.parse_timestamping(ts_info(0x5F, 3, 0b11, 1 | 1 << 12))
    assert every == STAMPS_EVERY_FRAME
    assert ptp_only == replace(STAMPS_EVERY_FRAME, adapter_rx_all=False)


def test_host_stamps_alone_come_without_a_clock() -> None:
    host_only = replace(
        STAMPS_EVERY_FRAME, phc_index=None, adapter_rx=False, adapter_rx_all=False, adapter_tx=False
    )
    assert ethtool.parse_timestamping(ts_info(0x1A, -1, 0, 0)) == host_only


@given(st.none() | st.binary(max_size=220))
def test_any_answer_of_a_driver_is_parsed_or_known_as_nothing(answer: bytes | None) -> None:
    info = ethtool.parse_driver_info(answer)
    fields = (info.driver, info.version, info.firmware, info.bus_address)
    assert all(field is None or 1 <= len(field) <= 32 for field in fields)
    timestamping = ethtool.parse_timestamping(answer)
    if timestamping is not None:
        assert timestamping.adapter_rx or not timestamping.adapter_rx_all


# --- rtnetlink ------------------------------------------------------------------------------------


def attribute(kind: int, value: bytes) -> bytes:
    return padded(struct.pack("=HH", 4 + len(value), kind) + value)


def message(kind: int, body: bytes) -> bytes:
    return padded(rtnetlink.HEADER.pack(16 + len(body), kind, 2, 1, 0) + body)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def address_message(index: int, address: str, peer: str | None = None) -> bytes:
    interface = ipaddress.ip_interface(address)
    family = socket.AF_INET if interface.version == 4 else socket.AF_INET6
    own = attribute(rtnetlink.IFA_LOCAL, interface.ip.packed) if interface.version == 4 else b""
    shown = ipaddress.ip_address(peer) if peer else interface.ip
    body = rtnetlink.ADDRESS.pack(family, interface.network.prefixlen, 0, 0, index)
    return message(rtnetlink.NEWADDR, body + own + attribute(rtnetlink.IFA_ADDRESS, shown.packed))


def route_message(destination_bits: int, attributes: bytes, route_type: int = 1) -> bytes:
    body = rtnetlink.ROUTE.pack(socket.AF_INET, destination_bits, 0, 0, 254, 3, 0, route_type, 0)
    return message(rtnetlink.NEWROUTE, body + attributes)


def index(number: int) -> bytes:
    return struct.pack("=i", number)


ADDRESSES = (
    address_message(2, "192.0.2.2/24")
    + address_message(3, "198.51.100.1/32", peer="198.51.100.2")
    + address_message(2, "fe80::1/64")
)
ROUTES = (
    route_message(24, attribute(rtnetlink.RTA_OIF, index(9)))
    + route_message(0, attribute(rtnetlink.RTA_OIF, index(2)))
    + route_message(0, attribute(rtnetlink.RTA_OIF, index(8)), route_type=7)  # unreachable
    + route_message(
        0,
        attribute(
            rtnetlink.RTA_MULTIPATH,
            rtnetlink.NEXT_HOP.pack(8, 0, 0, 5) + rtnetlink.NEXT_HOP.pack(8, 0, 0, 6),
        ),
    )
)


def test_addresses_are_grouped_by_port_and_a_peer_is_not_taken_for_our_own() -> None:
    assert rtnetlink.parse_addresses(ADDRESSES) == {
        2: ("192.0.2.2/24", "fe80::1/64"),
        3: ("198.51.100.1/32",),
    }


def test_default_routes_are_found_single_and_multipath_and_no_others() -> None:
    assert rtnetlink.parse_default_routes(ROUTES) == {2, 5, 6}


def test_an_impossible_prefix_length_is_no_address() -> None:
    body = rtnetlink.ADDRESS.pack(socket.AF_INET, 33, 0, 0, 2)
    answer = message(rtnetlink.NEWADDR, body + attribute(rtnetlink.IFA_LOCAL, bytes(4)))
    assert rtnetlink.parse_addresses(answer) == {}


@given(st.binary(max_size=400))
def test_any_bytes_give_only_real_addresses_and_end(answer: bytes) -> None:
    for addresses in rtnetlink.parse_addresses(answer).values():
        assert all(ipaddress.ip_interface(address) for address in addresses)
    assert rtnetlink.parse_default_routes(answer) >= frozenset()


@given(st.data())
def test_a_damaged_answer_still_gives_only_real_addresses(data: st.DataObject) -> None:
    damaged = bytearray(ADDRESSES + ROUTES)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(damaged[: data.draw(st.integers(0, len(damaged)))])
    for addresses in rtnetlink.parse_addresses(cut).values():
        assert all(ipaddress.ip_interface(address) for address in addresses)
    assert rtnetlink.parse_default_routes(cut) >= frozenset()


# --- capabilities ---------------------------------------------------------------------------------


def test_file_capabilities_count_only_if_raised_at_start() -> None:
    revision_2 = struct.pack("<IIIII", 0x02000001, 0x3000, 0, 0x1, 0)
    assert parse_file_capabilities(revision_2) == 0x1_0000_3000
    assert parse_file_capabilities(b"\0" + revision_2[1:]) == 0


@given(st.binary(max_size=30))
def test_any_attribute_gives_a_mask_of_64_bits(attribute_bytes: bytes) -> None:
    assert 0 <= parse_file_capabilities(attribute_bytes) < 1 << 64


@given(ANY_TEXT)
def test_any_status_gives_a_mask_of_64_bits(text: str | None) -> None:
    assert 0 <= parse_status(text, "CapEff") < 1 << 64
    assert 0 <= parse_status(f"CapEff:\t{text}", "CapEff") < 1 << 64


def test_a_status_gives_the_mask_of_the_field_that_was_asked_for() -> None:
    status = "Name:\tpython\nCapPrm:\t0000000000000001\nCapEff:\t000001ffffffffff\n"
    assert parse_status(status, "CapEff") == 0x1FF_FFFF_FFFF
    assert parse_status(status, "CapAmb") == 0
