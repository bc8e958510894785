"""Taking secrets and names out of what leaves the machine.

Keys, passwords, serial numbers and unique identifiers go; MAC addresses keep their vendor half, IP
addresses their kind, and the same one always gets the same stand-in, so that relations stay
visible. Versions look like IPv4 addresses, so those are replaced only where they are known to be
addresses (`Redactor.address`).
"""

import ipaddress
import re
from dataclasses import dataclass, field

MAC = re.compile(r"\b([0-9a-fA-F]{2}[:-][0-9a-fA-F]{2}[:-][0-9a-fA-F]{2})([:-][0-9a-fA-F]{2}){3}\b")
UUID = re.compile(
    r"\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b"
)
LONG_HEX = re.compile(r"\b(?:0x)?[0-9a-fA-F]{24,}\b")  # keys; no version or address is that long
# "Serial Number: X", '"serial": "X"', "ssid=X", "password X", "wwn: X", "[SN] X", "PSK: X"
LABELLED = re.compile(
    r"""(?ix)(
        \b(?:device\ serial\ number|vendor\ sn)\s*:?\s+
        |(?:serial(?:[ _-]*(?:number|no|num))?|licen[cs]e[ _-]*key|key[ _-]*value|password
        |passphrase|secret|token|ssid|bssid|psk|wwn|eui64|nguid|asset[ _-]*tag|host[ _-]*name)
        \b["']?\s*[:=]\s*["']?|\[SN\][^:\n]*:\s*
    )([^"'\s,}\]][^"'\n,}\]]*)"""
)
HOME = re.compile(r"(/(?:home|Users)/)[^/\s\"':]+")
GONE = "REMOVED"


@dataclass
class Redactor:
    """Remembers its stand-ins over everything that goes into one bundle."""

    names: tuple[str, ...] = ()  # of the host and its users, wherever they occur
    _macs: dict[str, str] = field(default_factory=dict)
    _addresses: dict[str, str] = field(default_factory=dict)

    def text(self, text: str) -> str:
        """The text without what may not leave; whatever it is, line ends stay."""
        text = LABELLED.sub(lambda match: match[1] + GONE, text)
        text = UUID.sub(GONE, text)
        text = LONG_HEX.sub(GONE, text)
        text = MAC.sub(lambda match: self._mac(match[0]), text)
        text = HOME.sub(lambda match: match[1] + GONE, text)
        for name in self.names:
            if len(name) > 2:
                text = re.sub(rf"(?<![\w-]){re.escape(name)}(?![\w-])", GONE, text)
        return text

    def address(self, address: str) -> str:
        """An IP address with its prefix length, as one of the same kind from documentation.

        RFC 5737 and 3849; link-local and loopback addresses stay such. Other text is removed.
        """
        try:
            interface = ipaddress.ip_interface(address)
        except ValueError:
            return GONE
        if address not in self._addresses:
            number = len(self._addresses) + 1
            kind = "192.0.2.{}" if interface.version == 4 else "2001:db8::{:x}"
            if interface.is_link_local:
                kind = "169.254.0.{}" if interface.version == 4 else "fe80::{:x}"
            number = number % 254 + 1 if interface.version == 4 else number
            stand_in = f"{kind.format(number)}/{interface.network.prefixlen}"
            self._addresses[address] = address if interface.is_loopback else stand_in
        return self._addresses[address]

    def _mac(self, mac: str) -> str:
        key = mac.lower().replace("-", ":")
        if key not in self._macs:
            number = len(self._macs) + 1
            tail = ":".join(f"{number >> shift & 0xFF:02x}" for shift in (16, 8, 0))
            self._macs[key] = f"{key[:8]}:{tail}"
        stand_in = self._macs[key]
        return stand_in.replace(":", "-") if "-" in mac else stand_in
