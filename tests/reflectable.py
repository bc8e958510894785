"""Test frames for a reflector, and what must become of each: a second opinion, written apart."""

import struct
from dataclasses import dataclass, replace

SENDER = bytes.fromhex("0200c6120001")
FAR_END = bytes.fromhex("0200c6130001")
IPV4, IPV6, VLAN, QINQ = 0x0800, 0x86DD, 0x8100, 0x88A8
UDP, ECHO_PORT = 17, 7
ROOM_BYTES, VERSION, REFLECTED, COVERED = 18, 0x10, 0x01, 0x02

SENT_BACK, FOREIGN, GROUP, LOOP = "reflected frames", "foreign", "group", "reflected"
FRAGMENT, BAD_LENGTH = "fragment", "bad_length"


def ones_complement_sum(data: bytes) -> int:
    """RFC 1071; 0xffff where `data` holds a right checksum."""
    padded = data + bytes(len(data) % 2)
    total: int = sum(struct.unpack(f">{len(padded) // 2}H", padded))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def signature(sequence: int, *, secret: int = 0x1234, flags: int = 0) -> bytes:
    """The 18 bytes at the end of a signed payload."""
    words = struct.pack(
        ">HBBHIHI", 0xF7A9 ^ secret, VERSION | flags, 0x56, 3, sequence, 0x0A0B, 0x0C0D0E0F
    )
    return struct.pack(">H", ~ones_complement_sum(words) & 0xFFFF) + words


@dataclass(frozen=True)
class Datagram:
    """A UDP datagram on the wire, with checksums; every field is what a test may want to bend."""

    payload: bytes
    to: bytes = FAR_END
    source: bytes = SENDER
    tags: tuple[tuple[int, int], ...] = ()
    addresses: tuple[str, str] = ("c6120001", "c6130001")
    ports: tuple[int, int] = (49184, ECHO_PORT)
    ttl: int = 64
    options: bytes = b""
    fragment: int = 0
    next_header: int = UDP
    more_ip_bytes: int = 0
    more_udp_bytes: int = 0
    padding: bytes = b""

    def frame(self) -> bytes:
        """The frame without FCS."""
        ends = [bytes.fromhex(address) for address in self.addresses]
        is_ipv6 = len(ends[0]) == 16
        packet = (self._ipv6 if is_ipv6 else self._ipv4)(*ends)
        types = [*(kind for kind, _ in self.tags), IPV6 if is_ipv6 else IPV4]
        header = self.to + self.source + struct.pack(">H", types[0])
        for (_, tci), following in zip(self.tags, types[1:], strict=True):
            header += struct.pack(">HH", tci, following)
        return header + packet + self.padding

    def _udp(self, source: bytes, to: bytes) -> bytes:
        bytes_ = 8 + len(self.payload) + self.more_udp_bytes
        header = struct.pack(">HHH", *self.ports, bytes_)
        pseudo = source + to + struct.pack(">HH", UDP, bytes_)
        sum_ = ones_complement_sum(pseudo + header + b"\0\0" + self.payload)
        return header + struct.pack(">H", (~sum_ & 0xFFFF) or 0xFFFF) + self.payload

    def _ipv4(self, source: bytes, to: bytes) -> bytes:
        udp = self._udp(source, to)
        header_bytes = 20 + len(self.options)
        header = struct.pack(
            ">BBHHHBBH",
            0x40 | header_bytes // 4,
            0,
            header_bytes + len(udp) + self.more_ip_bytes,
            0x1111,
            self.fragment,
            self.ttl,
            self.next_header,
            0,
        )
        whole = header + source + to + self.options
        checksum = struct.pack(">H", ~ones_complement_sum(whole) & 0xFFFF)
        return whole[:10] + checksum + whole[12:] + udp

    def _ipv6(self, source: bytes, to: bytes) -> bytes:
        udp = self._udp(source, to)
        length = len(udp) + self.more_ip_bytes
        return struct.pack(">IHBB", 6 << 28, length, self.next_header, self.ttl) + source + to + udp


def signed(sequence: int = 1, *, filling: bytes = b"", flags: int = 0) -> Datagram:
    """A frame as the generator makes it."""
    return Datagram(filling + signature(sequence, flags=flags))


def echo(to: bytes) -> Datagram:
    """An echo request, addressed to the port itself."""
    return Datagram(b"are you there", to=to)


def over_ipv6(datagram: Datagram) -> Datagram:
    """The same over IPv6, between addresses of RFC 5180."""
    return replace(datagram, addresses=("20010002" + "0" * 23 + "1", "20010002" + "0" * 23 + "2"))


def judge(frame: bytes, own: bytes) -> tuple[str, bytes]:
    """What becomes of a frame at the port with the address `own`, and the frame that goes back."""
    at, kind = 14, int.from_bytes(frame[12:14], "big")
    for _ in range(8):
        if kind not in (VLAN, QINQ, 0x9100):
            break
        if len(frame) < at + 4:
            return FOREIGN, b""
        kind = int.from_bytes(frame[at + 2 : at + 4], "big")
        at += 4
    if kind == IPV4:
        return _judge_ipv4(frame, at, own)
    return _judge_ipv6(frame, at, own) if kind == IPV6 else (FOREIGN, b"")


def _judge_ipv4(frame: bytes, at: int, own: bytes) -> tuple[str, bytes]:
    ip = frame[at:]
    if len(ip) < 20 or ip[0] >> 4 != 4 or ip[9] != UDP:
        return FOREIGN, b""
    header, total = (ip[0] & 15) * 4, int.from_bytes(ip[2:4], "big")
    if header < 20 or not header <= total <= len(ip):
        return BAD_LENGTH, b""
    if int.from_bytes(ip[6:8], "big") & 0x3FFF:
        return FRAGMENT, b""
    of_nobody = any(ip[end] == 0 or ip[end] >= 224 for end in (12, 16))
    return _judge_udp(frame, at + 12, 4, at + header, total - header, own, of_nobody)


def _judge_ipv6(frame: bytes, at: int, own: bytes) -> tuple[str, bytes]:
    ip = frame[at:]
    if len(ip) < 40 or ip[0] >> 4 != 6:
        return FOREIGN, b""
    if ip[6] != UDP:
        return (FRAGMENT if ip[6] == 44 else FOREIGN), b""
    payload = int.from_bytes(ip[4:6], "big")
    if payload + 40 > len(ip):
        return BAD_LENGTH, b""
    of_nobody = any(ip[end] == 0xFF or not any(ip[end : end + 16]) for end in (8, 24))
    return _judge_udp(frame, at + 8, 16, at + 40, payload, own, of_nobody)


def _judge_udp(
    frame: bytes, addresses: int, size: int, at: int, bytes_: int, own: bytes, of_nobody: bool
) -> tuple[str, bytes]:
    if len(frame) < at + 8:
        return BAD_LENGTH, b""
    source, to, length = struct.unpack_from(">HHH", frame, at)
    if not 8 <= length <= bytes_:
        return BAD_LENGTH, b""
    room = frame[at + length - ROOM_BYTES : at + length] if length >= 8 + ROOM_BYTES else bytes(18)
    is_signed = room[4] & ~(REFLECTED | COVERED) == VERSION and ones_complement_sum(room) == 0xFFFF
    is_group = bool((frame[0] | frame[6]) & 1)
    is_echo = to == ECHO_PORT and (frame[:6] == own or bool(frame[0] & 1))
    if not is_signed and not is_echo:
        return FOREIGN, b""
    if is_group or of_nobody:
        return GROUP, b""
    if frame[6:12] == own or (room[4] & REFLECTED if is_signed else source == ECHO_PORT):
        return LOOP, b""
    middle = addresses + size
    back = bytearray(frame)
    back[0:12] = frame[6:12] + frame[0:6]
    back[addresses : middle + size] = frame[middle : middle + size] + frame[addresses:middle]
    back[at : at + 4] = struct.pack(">HH", to, source)
    if is_signed:
        marked = bytes([room[4] | REFLECTED])
        rest = room[2:4] + marked + room[5:]
        complement = struct.pack(">H", ~ones_complement_sum(rest) & 0xFFFF)
        back[at + length - ROOM_BYTES : at + length] = complement + rest
    return SENT_BACK, bytes(back)


def udp_checksum_is_right(frame: bytes, tags: int = 0) -> bool:
    """Whether the UDP checksum of an unpadded frame without IP options adds up."""
    at = 14 + 4 * tags
    is_ipv6 = frame[at] >> 4 == 6
    ends, udp = (8, 40) if is_ipv6 else (12, 20)
    addresses = frame[at + ends : at + ends + (32 if is_ipv6 else 8)]
    datagram = frame[at + udp :]
    pseudo = addresses + struct.pack(">HH", UDP, len(datagram))
    return ones_complement_sum(pseudo + datagram) == 0xFFFF
