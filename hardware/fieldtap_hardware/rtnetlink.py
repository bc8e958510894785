"""Addresses and default routes, asked of the kernel by rtnetlink.

No file in /proc lists the IPv4 addresses of a port or the routes of every table, so two dump
requests do. Numbers are those of <linux/netlink.h>, <linux/if_addr.h> and <linux/rtnetlink.h>.
"""

import errno
import ipaddress
import os
import socket
import struct
from collections.abc import Callable, Iterator

Dump = Callable[[int], bytes]
"""A request type in, the concatenated messages of the kernel's answer out."""

GETADDR, NEWADDR = 22, 20
GETROUTE, NEWROUTE = 26, 24

NLMSG_ERROR, NLMSG_DONE = 2, 3
REQUEST_DUMP = 0x301
DUMP_INTERRUPTED = 0x10

IFA_ADDRESS, IFA_LOCAL = 1, 2
RTA_OIF, RTA_MULTIPATH = 4, 9
RTN_UNICAST = 1

HEADER = struct.Struct("=IHHII")
ADDRESS = struct.Struct("=BBBBI")
ROUTE = struct.Struct("=BBBBBBBBI")
NEXT_HOP = struct.Struct("=HBBi")

TRIES = 10
TIMEOUT_S = 5.0


def dump_kernel(request: int) -> bytes:
    """Every message that answers the dump `request`, for all address families.

    A dump that a change interrupted may lack messages, and is asked again. Raises OSError if the
    kernel refuses, and EAGAIN where changes do not end.
    """
    for _ in range(TRIES):
        answer, interrupted = _dump_once(request)
        if not interrupted:
            return answer
    raise OSError(errno.EAGAIN, "they change all the time")


def _dump_once(request: int) -> tuple[bytes, bool]:
    answer, interrupted = b"", False
    netlink_route = 0
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, netlink_route) as netlink:
        netlink.settimeout(TIMEOUT_S)
        netlink.send(HEADER.pack(HEADER.size + 4, request, REQUEST_DUMP, 1, 0) + bytes(4))
        while True:
            part = netlink.recv(1 << 16)
            for kind, flags, body in _messages(part):
                interrupted |= bool(flags & DUMP_INTERRUPTED)
                if kind == NLMSG_ERROR and len(body) >= 4:
                    code = -struct.unpack_from("=i", body)[0]
                    raise OSError(code, os.strerror(code))
                if kind == NLMSG_DONE:
                    return answer, interrupted
            answer += part


def parse_addresses(answer: bytes) -> dict[int, tuple[str, ...]]:
    """Addresses with their prefix length by port index, in the kernel's order."""
    addresses: dict[int, tuple[str, ...]] = {}
    for kind, _, body in _messages(answer):
        if kind != NEWADDR or len(body) < ADDRESS.size:
            continue
        _, prefix_length, _, _, index = ADDRESS.unpack_from(body)
        attributes = dict(_attributes(body[ADDRESS.size :]))
        # On a point-to-point port IFA_ADDRESS is the far end and IFA_LOCAL our own.
        raw = attributes.get(IFA_LOCAL, attributes.get(IFA_ADDRESS, b""))
        try:
            interface = ipaddress.ip_interface((raw, prefix_length))
        except ValueError:
            continue
        addresses[index] = (*addresses.get(index, ()), interface.with_prefixlen)
    return addresses


def parse_default_routes(answer: bytes) -> frozenset[int]:
    """Indexes of the ports that a default route, of any table and family, leaves through."""
    ports: set[int] = set()
    for kind, _, body in _messages(answer):
        if kind != NEWROUTE or len(body) < ROUTE.size:
            continue
        _, destination_bits, _, _, _, _, _, route_type, _ = ROUTE.unpack_from(body)
        if destination_bits or route_type != RTN_UNICAST:
            continue
        for attribute, value in _attributes(body[ROUTE.size :]):
            if attribute == RTA_OIF and len(value) >= 4:
                ports.add(struct.unpack_from("=i", value)[0])
            elif attribute == RTA_MULTIPATH:
                ports.update(_next_hops(value))
    return frozenset(ports)


def _messages(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Type, flags and body of each whole message; a length that cannot be ends the walk."""
    offset = 0
    while offset + HEADER.size <= len(data):
        length, kind, flags, _, _ = HEADER.unpack_from(data, offset)
        if length < HEADER.size or offset + length > len(data):
            return
        yield kind, flags, data[offset + HEADER.size : offset + length]
        offset += _aligned(length)


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and value of each whole attribute."""
    offset = 0
    while offset + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, offset)
        if length < 4 or offset + length > len(data):
            return
        yield kind & 0x3FFF, data[offset + 4 : offset + length]  # without the nested flag bits
        offset += _aligned(length)


def _next_hops(data: bytes) -> Iterator[int]:
    """Port index of each hop of a multipath route."""
    offset = 0
    while offset + NEXT_HOP.size <= len(data):
        length, _, _, index = NEXT_HOP.unpack_from(data, offset)
        if length < NEXT_HOP.size:
            return
        yield index
        offset += _aligned(length)


def _aligned(length: int) -> int:
    return (length + 3) & ~3
