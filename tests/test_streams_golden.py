"""Streams make the frames that scapy makes from the same words, byte for byte."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import cycle, islice, repeat
from pathlib import Path

import pytest
from scapy.contrib.mpls import MPLS
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Packet, Raw
from stream_values import Draws, counted, dry_run, spread

FCS_BYTES = 4
NEAR, FAR = "02:00:c6:12:00:01", "02:00:c6:13:00:01"
IMIX = (64, 594, 64, 594, 64, 64, 594, 64, 594, 64, 64, 1518)


@dataclass(frozen=True)
class Golden:
    """A stream file, its frames as scapy makes them, and how many of them to look at."""

    name: str
    toml: str
    frames: Callable[[], Iterable[bytes]]
    count: int = 20
    options: tuple[str, ...] = ()


def having(packet: Packet, fields: dict[str, object]) -> Packet:
    for name, value in fields.items():
        packet.setfieldval(name, value)
    return packet


def ether(**fields: object) -> Packet:
    return having(Ether(dst=FAR, src=NEAR), fields)


def ipv4(**fields: object) -> Packet:
    return having(IP(src="198.18.0.1", dst="198.19.0.1", flags="DF", id=0), fields)


def ipv6(**fields: object) -> Packet:
    return having(IPv6(src="2001:2::1", dst="2001:2:0:8000::1"), fields)


def udp(**fields: object) -> Packet:
    return having(UDP(sport=49184, dport=7), fields)


def tcp(**fields: object) -> Packet:
    return having(TCP(sport=49184, dport=7, flags="A", window=65535), fields)


def increment(count: int) -> bytes:
    return bytes(n % 256 for n in range(count))


def fill(headers: Packet, size: int = 64, payload: Callable[[int], bytes] = increment) -> bytes:
    """The whole frame: scapy computes lengths and checksums."""
    return bytes(headers / Raw(payload(size - FCS_BYTES - len(headers))))


def plain(sizes: Iterable[int]) -> Iterator[bytes]:
    """Frames of all defaults."""
    return (fill(ether() / ipv4() / udp(), size) for size in sizes)


def address(number: int, base: str = "198.18.0.0") -> str:
    """The IPv4 address so many after another."""
    value = int.from_bytes(bytes(map(int, base.split("."))), "big") + number
    return ".".join(map(str, value.to_bytes(4, "big")))


def mac(number: int) -> str:
    return number.to_bytes(6, "big").hex(":")


def unsigned(*lines: str, name: str = "s") -> str:
    """One stream without a signature."""
    return "\n".join(["[[stream]]", f'name = "{name}"', "signature = false", *lines]) + "\n"


def random_sizes() -> Iterator[int]:
    draws = Draws("s", "size")
    return (draws.between(64, 1518) for _ in repeat(None))


def random_sources(seed: int = 0) -> Iterator[bytes]:
    draws = Draws("s", "ipv4.source", seed)
    while True:
        source = address(draws.between(0, 65535))
        yield fill(ether() / ipv4(src=source) / udp())


def qinq(outer: int = 0x88A8, inner: int = 0x8100) -> Iterator[bytes]:
    tags = Dot1Q(vlan=100, type=inner) / Dot1Q(vlan=200)
    return repeat(fill(ether(type=outer) / tags / ipv4() / udp(), 72))


def everything() -> Iterator[bytes]:
    vlan, label = counted(1, 4095, 100), Draws("s", "mpls[0].label", 9)
    source, port = Draws("s", "ipv4.source", 9), counted(65535, 1024, 7)
    ttl, size = cycle((1, 2, 3)), cycle(spread(((90, 2), (200, 3))))
    while True:
        tags = Dot1Q(vlan=next(vlan)) / MPLS(label=label.between(16, 1048575), s=1, ttl=64)
        ip = ipv4(src=address(source.between(0, 131071)), ttl=next(ttl))
        yield fill(ether() / tags / ip / udp(sport=next(port)), next(size))


def port_of_no_checksum() -> int:
    """The source port at which the checksum adds up to 0, which is sent as 0xffff (RFC 768)."""
    return int.from_bytes(fill(ether() / ipv4() / udp(sport=0))[40:42], "big")


def random_v6() -> Iterator[bytes]:
    source, label = Draws("s", "ipv6.source"), Draws("s", "ipv6.flow_label")
    hosts = counted(0xFF, 0)
    while True:
        low = source.word()
        ip = ipv6(
            src=f"2001:2::{low >> 48:x}:{low >> 32 & 0xFFFF:x}:{low >> 16 & 0xFFFF:x}:"
            f"{low & 0xFFFF:x}",
            dst=f"2001:2:0:8000::{next(hosts):x}",
            fl=label.between(0, 0xFFFFF),
        )
        yield fill(ether() / ip / udp(), 90)


def tcp_handshake() -> Iterator[bytes]:
    flags, sequence = cycle(("S", "SA", "A", "FPUEC")), counted(4294967290, 4294967295)
    ack, window = counted(7, 1), Draws("s", "tcp.window")
    while True:
        header = tcp(
            flags=next(flags), seq=next(sequence), ack=next(ack), window=window.between(0, 65535)
        )
        yield fill(ether() / ipv4() / header, 70)


def macs() -> Iterator[bytes]:
    source, target = counted(0x020000000001, 0x0200000000FF, 3), Draws("s", "ethernet.destination")
    while True:
        low = target.between(0x020000000000, 0x020000FFFFFF)
        yield fill(Ether(src=mac(next(source)), dst=mac(low)) / ipv4() / udp())


def fragments() -> Iterator[bytes]:
    later = ipv4(flags="MF", frag=10, proto=17)
    return repeat(fill(ether() / later, 100))


GOLDEN = [
    Golden("all defaults", unsigned(), lambda: plain(repeat(64))),
    Golden(
        "sizes in turn", unsigned("size = [64, 65, 1518]"), lambda: plain(cycle((64, 65, 1518)))
    ),
    Golden("imix", unsigned('size = "imix"'), lambda: plain(cycle(IMIX)), 30),
    Golden(
        "a mix of one's own",
        unsigned("size = { mix = [[64, 5], [1518, 3], [594, 3]] }"),
        lambda: plain(cycle(spread(((64, 5), (1518, 3), (594, 3))))),
        30,
    ),
    Golden(
        "sizes counted up",
        unsigned("size = { count = [64, 1518], step = 13 }"),
        lambda: plain(counted(64, 1518, 13)),
        300,
    ),
    Golden(
        "sizes counted down",
        unsigned("size = { count = [1518, 64] }"),
        lambda: plain(counted(1518, 64)),
        1600,
    ),
    Golden(
        "sizes at random",
        unsigned("size = { random = [64, 1518] }"),
        lambda: plain(random_sizes()),
        500,
    ),
    Golden("jumbo frames", unsigned("size = [9018, 9017]"), lambda: plain(cycle((9018, 9017)))),
    Golden(
        "a VLAN tag",
        unsigned("vlan = { id = 12, priority = 5, drop_eligible = true }", "size = 68"),
        lambda: repeat(
            fill(ether() / Dot1Q(vlan=12, prio=5, dei=1) / ipv4() / udp(), 68),
        ),
    ),
    Golden(
        "VLAN ids counted",
        unsigned("vlan = { id = { count = [10, 1], step = 2 }, priority = [0, 7] }"),
        lambda: (
            fill(ether() / Dot1Q(vlan=vlan, prio=prio) / ipv4() / udp())
            for vlan, prio in zip(counted(10, 1, 2), cycle((0, 7)), strict=False)
        ),
    ),
    Golden("QinQ", unsigned("vlan = [{ id = 100 }, { id = 200 }]", "size = 72"), qinq),
    Golden(
        "QinQ with other types",
        unsigned(
            "vlan = [{ id = 100, type = 0x9100 }, { id = 200, type = 0x88a8 }]",
            "size = 72",
        ),
        lambda: qinq(0x9100, 0x88A8),
    ),
    Golden(
        "three tags",
        unsigned("vlan = [{ id = 1 }, { id = 2 }, { id = { random = [3, 4094] } }]", "size = 80"),
        lambda: (
            fill(
                ether(type=0x88A8)
                / Dot1Q(vlan=1, type=0x88A8)
                / Dot1Q(vlan=2, type=0x8100)
                / Dot1Q(vlan=draws.between(3, 4094))
                / ipv4()
                / udp(),
                80,
            )
            for draws in repeat(Draws("s", "vlan[2].id"))
        ),
    ),
    Golden(
        "an MPLS label",
        unsigned("mpls = { label = 1000, class = 3, ttl = 9 }"),
        lambda: repeat(
            fill(ether() / MPLS(label=1000, cos=3, s=1, ttl=9) / ipv4() / udp()),
        ),
    ),
    Golden(
        "an MPLS stack over IPv6",
        unsigned(
            "mpls = [{ label = 16 }, { label = { count = [100, 103] } }, { ttl = 1 }]",
            "ipv6 = {}",
            "size = 90",
        ),
        lambda: (
            fill(
                ether()
                / MPLS(label=16, s=0, ttl=64)
                / MPLS(label=label, s=0, ttl=64)
                / MPLS(label=16, s=1, ttl=1)
                / ipv6()
                / udp(),
                90,
            )
            for label in counted(100, 103)
        ),
    ),
    Golden(
        "fields of IPv4",
        unsigned(
            "ipv4 = { dscp = 46, ecn = 1, id = 4660, dont_fragment = false, ttl = 1 }",
        ),
        lambda: repeat(
            fill(ether() / ipv4(tos=46 << 2 | 1, id=4660, flags=0, ttl=1) / udp()),
        ),
    ),
    Golden(
        "fields of IPv4 that vary",
        unsigned(
            "[stream.ipv4]",
            "dscp = { count = [0, 63] }",
            "ecn = [0, 1, 2, 3]",
            "dont_fragment = [true, false]",
            "id = { count = [65535, 0] }",
            "ttl = { random = [1, 255] }",
        ),
        lambda: (
            fill(
                ether()
                / ipv4(tos=dscp << 2 | ecn, flags=flags, id=id_, ttl=draws.between(1, 255))
                / udp()
            )
            for dscp, ecn, flags, id_, draws in zip(
                counted(0, 63),
                cycle((0, 1, 2, 3)),
                cycle(("DF", 0)),
                counted(65535, 0),
                repeat(Draws("s", "ipv4.ttl")),
                strict=False,
            )
        ),
        200,
    ),
    Golden(
        "addresses at random",
        unsigned('ipv4.source = { random = "198.18.0.0/16" }'),
        random_sources,
        500,
    ),
    Golden(
        "another seed in the file",
        "seed = 77\n" + unsigned('ipv4.source = { random = "198.18.0.0/16" }'),
        lambda: random_sources(77),
    ),
    Golden(
        "another seed on the command line",
        "seed = 77\n" + unsigned('ipv4.source = { random = "198.18.0.0/16" }'),
        lambda: random_sources(4242),
        options=("--seed", "4242"),
    ),
    Golden(
        "addresses counted through a prefix",
        unsigned(
            'ipv4 = { source = { count = "198.18.7.0/29", step = 3 }, '
            'destination = { count = ["198.19.0.9", "198.19.0.5"] } }',
        ),
        lambda: (
            fill(ether() / ipv4(src=address(s, "198.18.7.0"), dst=address(d, "198.19.0.0")) / udp())
            for s, d in zip(counted(0, 7, 3), counted(9, 5), strict=False)
        ),
    ),
    Golden(
        "addresses in turn",
        unsigned('ipv4.destination = ["192.0.2.1", "203.0.113.255"]'),
        lambda: (
            fill(ether() / ipv4(dst=target) / udp())
            for target in cycle(("192.0.2.1", "203.0.113.255"))
        ),
    ),
    Golden(
        "a later fragment",
        unsigned(
            "ipv4 = { protocol = 17, more_fragments = true, fragment_offset = 10, "
            "dont_fragment = false }",
            "size = 100",
        ),
        fragments,
    ),
    Golden("IPv6", unsigned("ipv6 = {}"), lambda: repeat(fill(ether() / ipv6() / udp(), 66))),
    Golden(
        "fields of IPv6",
        unsigned(
            "ipv6 = { dscp = 10, ecn = 2, hop_limit = { count = [255, 1] }, flow_label = 0xabcde }",
            "size = 101",
        ),
        lambda: (
            fill(ether() / ipv6(tc=10 << 2 | 2, fl=0xABCDE, hlim=hops) / udp(), 101)
            for hops in counted(255, 1)
        ),
    ),
    Golden(
        "IPv6 addresses that vary",
        unsigned(
            "[stream.ipv6]",
            'source = { random = "2001:2::/64" }',
            'destination = { count = ["2001:2:0:8000::ff", "2001:2:0:8000::"] }',
            "flow_label = { random = [0, 0xfffff] }",
        ).replace("signature = false", "signature = false\nsize = 90"),
        random_v6,
        300,
    ),
    Golden(
        "UDP without a checksum",
        unsigned("udp = { checksum = false, source_port = { count = [1, 9] } }"),
        lambda: (fill(ether() / ipv4() / udp(chksum=0, sport=port)) for port in counted(1, 9)),
    ),
    Golden(
        "a UDP checksum that adds up to 0",
        unsigned(f"udp.source_port = [1, {port_of_no_checksum()}]"),
        lambda: (
            fill(ether() / ipv4() / udp(sport=port)) for port in cycle((1, port_of_no_checksum()))
        ),
    ),
    Golden(
        "TCP",
        unsigned(
            "[stream.tcp]",
            'flags = ["S", "SA", "A", "FPUEC"]',
            "sequence = { count = [4294967290, 4294967295] }",
            "acknowledgement = { count = [7, 1] }",
            "window = { random = [0, 65535] }",
        ).replace("signature = false", "signature = false\nsize = 70"),
        tcp_handshake,
        100,
    ),
    Golden(
        "TCP over IPv6",
        unsigned("ipv6 = {}", "tcp = { flags = 0x12, urgent = 5, destination_port = 443 }"),
        lambda: repeat(
            fill(ether() / ipv6() / tcp(flags="SA", urgptr=5, dport=443), 78),
        ),
    ),
    Golden(
        "ICMP",
        unsigned("icmp = { id = 77, sequence = { count = [0, 65535] } }"),
        lambda: (
            fill(ether() / ipv4() / ICMP(type=8, id=77, seq=sequence))
            for sequence in counted(0, 65535)
        ),
    ),
    Golden(
        "ICMP, from addresses that its checksum leaves out",
        unsigned('ipv4.source = { random = "198.18.0.0/16" }', "icmp = { type = 0, code = 1 }"),
        lambda: (
            fill(
                ether()
                / ipv4(src=address(draws.between(0, 65535)))
                / ICMP(type=0, code=1, id=0, seq=0)
            )
            for draws in repeat(Draws("s", "ipv4.source"))
        ),
    ),
    Golden(
        "ICMPv6, from addresses that its checksum holds",
        unsigned(
            'ipv6.source = { count = "2001:2::/120" }',
            "icmp = { id = 1, sequence = [3, 1, 2] }",
        ),
        lambda: (
            fill(ether() / ipv6(src=f"2001:2::{low:x}") / ICMPv6EchoRequest(id=1, seq=seq), 66)
            for low, seq in zip(counted(0, 255), cycle((3, 1, 2)), strict=False)
        ),
        300,
    ),
    Golden(
        "MAC addresses that vary",
        unsigned(
            "[stream.ethernet]",
            'source = { count = ["02:00:00:00:00:01", "02:00:00:00:00:ff"], step = 3 }',
            'destination = { random = "02:00:00:00:00:00/24" }',
        ),
        macs,
        200,
    ),
    Golden(
        "frames without IP",
        unsigned("ethernet.type = 0x88b5", "vlan = { id = 9 }"),
        lambda: repeat(
            fill(ether() / Dot1Q(vlan=9, type=0x88B5)),
        ),
    ),
    Golden(
        "EtherTypes in turn",
        unsigned("ethernet.type = [0x88b5, 0x88b6]"),
        lambda: (fill(ether(type=kind)) for kind in cycle((0x88B5, 0x88B6))),
    ),
    Golden(
        "an IP protocol without a header of ours",
        unsigned("ipv4.protocol = 89", 'payload = { hex = "02 01 00 2c" }', "size = 100"),
        lambda: repeat(
            fill(
                ether() / ipv4(proto=89), 100, lambda count: b"\x02\x01\x00\x2c".ljust(count, b"\0")
            ),
        ),
    ),
    Golden(
        "a payload of zeros",
        unsigned('payload = "zeros"', "size = 99"),
        lambda: repeat(fill(ether() / ipv4() / udp(), 99, bytes)),
    ),
    Golden(
        "a payload of text",
        unsigned('payload = { text = "an engineer was here" }', "size = 200"),
        lambda: repeat(
            fill(
                ether() / ipv4() / udp(),
                200,
                lambda count: b"an engineer was here".ljust(count, b"\0"),
            )
        ),
    ),
    Golden(
        "a payload drawn once",
        unsigned('payload = "random"', "size = [300, 64]"),
        lambda: (
            fill(ether() / ipv4() / udp(), size, Draws("s", "payload").octets)
            for size in cycle((300, 64))
        ),
    ),
    Golden(
        "everything at once",
        "seed = 9\n"
        + unsigned(
            "size = { mix = [[90, 2], [200, 3]] }",
            "vlan = { id = { count = [1, 4095], step = 100 } }",
            "mpls = { label = { random = [16, 1048575] } }",
            'ipv4 = { source = { random = "198.18.0.0/15" }, ttl = [1, 2, 3] }',
            "udp = { source_port = { count = [65535, 1024], step = 7 } }",
        ),
        everything,
        2000,
    ),
]


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.name)
def test_frames_are_those_that_scapy_makes(golden: Golden, tmp_path: Path) -> None:
    options = (*golden.options, "--count", str(golden.count))
    sent = [data for _, data in dry_run(tmp_path, golden.toml, *options)]
    expected = list(islice(golden.frames(), golden.count))
    assert len(sent) == golden.count
    for number, (got, wanted) in enumerate(zip(sent, expected, strict=True)):
        assert got.hex() == wanted.hex(), f"frame {number}"


def test_there_are_enough_of_them() -> None:
    assert len(GOLDEN) >= 30
    assert len({golden.name for golden in GOLDEN}) == len(GOLDEN)
