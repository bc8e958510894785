"""The signature of a stream's frames is what the reference says, wherever they carry it."""

import struct
from collections import Counter
from pathlib import Path

import pytest
from scapy.contrib.mpls import MPLS
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Packet, Raw
from stream_values import dry_run

FCS_BYTES = 4
MAGIC = 0xF7A9
SIGNATURE_BYTES, ROOM_BYTES, CRC_BYTES, COVERED_BYTES = 16, 18, 4, 64
VERSION, COVERED = 0x10, 0x02

ETHER = Ether(dst="02:00:c6:13:00:01", src="02:00:c6:12:00:01")
IPV4 = IP(src="198.18.0.1", dst="198.19.0.1", flags="DF", id=0)
IPV6 = IPv6(src="2001:2::1", dst="2001:2:0:8000::1")
UDP_ = UDP(sport=49184, dport=7)

CASES = {
    "": ETHER / IPV4 / UDP_,
    "udp.checksum = false": ETHER / IPV4 / UDP(sport=49184, dport=7, chksum=0),
    "vlan = { id = 7 }": ETHER / Dot1Q(vlan=7) / IPV4 / UDP_,
    "mpls = { label = 77 }": ETHER / MPLS(label=77, s=1, ttl=64) / IPV4 / UDP_,
    "tcp = {}": ETHER / IPV4 / TCP(sport=49184, dport=7, flags="A", window=65535),
    "icmp = {}": ETHER / IPV4 / ICMP(id=0, seq=0),
    "ipv6 = {}": ETHER / IPV6 / UDP_,
    "ipv6 = {}\nicmp = {}": ETHER / IPV6 / ICMPv6EchoRequest(id=0, seq=0),
    "ipv4.protocol = 89": ETHER
    / IP(src="198.18.0.1", dst="198.19.0.1", flags="DF", id=0, proto=89),
    "ethernet.type = 0x88b5": Ether(dst=ETHER.dst, src=ETHER.src, type=0x88B5),
}


def crc32c(data: bytes) -> int:
    """Castagnoli's checksum (RFC 3720 12.1), bit by bit."""
    register = 0xFFFFFFFF
    for octet in data:
        register ^= octet
        for _ in range(8):
            register = register >> 1 ^ (0x82F63B78 if register & 1 else 0)
    return register ^ 0xFFFFFFFF


def complement(signature: bytes) -> bytes:
    total = sum(struct.unpack(">8H", signature))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack(">H", 0xFFFF ^ total)


def expected(headers: Packet, size: int, magic: int, run: int, number: int, sent_ns: int) -> bytes:
    """The whole frame as scapy makes it, with a payload and a signature made here."""
    before = size - FCS_BYTES - len(headers) - ROOM_BYTES
    payload, flags = bytes(n % 256 for n in range(before)), VERSION
    if before >= COVERED_BYTES:
        payload = payload[:-CRC_BYTES] + crc32c(payload[:-CRC_BYTES]).to_bytes(CRC_BYTES, "big")
        flags |= COVERED
    signature = struct.pack(">HBBHI", magic, flags, run, 0, number)
    signature += (sent_ns % (1 << 48)).to_bytes(6, "big")
    return bytes(headers / Raw(payload + complement(signature) + signature))


@pytest.mark.parametrize("size", [96, 97, 200, 1518])
@pytest.mark.parametrize("layers", CASES)
def test_a_signed_frame_is_known_byte_by_byte(tmp_path: Path, layers: str, size: int) -> None:
    toml = f'rate = "1kpps"\n[[stream]]\nsize = {size}\n{layers}\n'
    sent = dry_run(tmp_path, toml, "--count", "5")
    magic, _, run = struct.unpack_from(">HBB", sent[0][1][-SIGNATURE_BYTES:])
    begun_ns = int.from_bytes(sent[0][1][-6:], "big")
    for number, (due_ns, data) in enumerate(sent):
        wanted = expected(CASES[layers], size, magic, run, number, begun_ns + due_ns)
        assert data.hex() == wanted.hex()


def test_sizes_may_change_from_frame_to_frame(tmp_path: Path) -> None:
    toml = 'rate = "1kpps"\n[[stream]]\nsize = { random = [64, 400] }\n'
    sent = dry_run(tmp_path, toml, "--count", "5000")
    magic, _, run = struct.unpack_from(">HBB", sent[0][1][-SIGNATURE_BYTES:])
    begun_ns = int.from_bytes(sent[0][1][-6:], "big")
    for number, (due_ns, data) in enumerate(sent):
        size = len(data) + FCS_BYTES
        wanted = expected(CASES[""], size, magic, run, number, begun_ns + due_ns)
        assert data.hex() == wanted.hex()


def test_each_stream_has_numbers_of_its_own(tmp_path: Path) -> None:
    toml = '[[stream]]\nrate = "3kpps"\n[[stream]]\nrate = "1kpps"\n'
    seen: Counter[int] = Counter()
    for _, data in dry_run(tmp_path, toml, "--duration", "0.05"):
        stream, number = struct.unpack_from(">HI", data[-12:])
        assert number == seen[stream]
        seen[stream] += 1
    assert seen == {0: 150, 1: 50}


def test_two_runs_have_different_signatures(tmp_path: Path) -> None:
    runs = {
        dry_run(tmp_path, "[[stream]]\n", "--count", "1")[0][1][-SIGNATURE_BYTES:-12]
        for _ in range(4)
    }
    assert len(runs) > 1
