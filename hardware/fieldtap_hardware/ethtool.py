"""What a driver says of its port, asked by the SIOCETHTOOL ioctl.

The ioctl and not the program: `ethtool` has no JSON for drivers and timestamping, and the ioctl
needs no privilege. Layouts are those of <linux/ethtool.h>, native byte order.
"""

import array
import fcntl
import socket
import struct
from collections.abc import Callable

from msgspec import Struct

from fieldtap_hardware.sysfs import clean_text

Query = Callable[[str, bytes], bytes | None]
"""Port name and request in, the answer of the same size out; None if the driver has no answer."""

SIOCETHTOOL = 0x8946
GDRVINFO = struct.pack("=I", 0x03).ljust(196, b"\0")
GET_TS_INFO = struct.pack("=I", 0x41).ljust(44, b"\0")

IFNAMSIZ = 16
IFREQ_BYTES = 40

# so_timestamping bits of <linux/net_tstamp.h>
TX_HARDWARE, TX_SOFTWARE, RX_HARDWARE, RX_SOFTWARE = 1 << 0, 1 << 1, 1 << 2, 1 << 3
RAW_HARDWARE = 1 << 6
RX_FILTER_ALL = 1 << 1
TX_TYPE_ON = 1 << 1


class Timestamping(Struct, frozen=True, kw_only=True):
    """What the driver says it can stamp; a statement, not a measurement."""

    phc_index: int | None  # /dev/ptpN
    adapter_rx: bool
    adapter_rx_all: bool  # every received frame, not only PTP's
    adapter_tx: bool
    host_rx: bool
    host_tx: bool


class DriverInfo(Struct, frozen=True):
    """Identity of a driver; an empty field is None."""

    driver: str | None
    version: str | None
    firmware: str | None
    bus_address: str | None


def ask_kernel(port: str, request: bytes) -> bytes | None:
    """Send `request` about `port` in this process's network namespace."""
    name = port.encode("utf-8", "surrogateescape")
    if len(name) >= IFNAMSIZ:
        return None
    answer = array.array("B", request)
    address, _ = answer.buffer_info()
    ifreq = struct.pack("16sP", name, address).ljust(IFREQ_BYTES, b"\0")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as query_socket:
        try:
            fcntl.ioctl(query_socket, SIOCETHTOOL, ifreq)
        except OSError:  # no such command, port gone, device asleep: whatever it is, no answer
            return None
    return answer.tobytes()


def parse_driver_info(answer: bytes | None) -> DriverInfo:
    """Parse an ethtool_drvinfo; a short or missing answer knows nothing."""
    if answer is None or len(answer) < len(GDRVINFO):
        return DriverInfo(None, None, None, None)
    driver, version, firmware, bus = struct.unpack_from("=4x32s32s32s32s", answer)
    return DriverInfo(_field(driver), _field(version), _field(firmware), _field(bus))


def parse_timestamping(answer: bytes | None) -> Timestamping | None:
    """Parse an ethtool_ts_info; None where the driver gave none."""
    if answer is None or len(answer) < len(GET_TS_INFO):
        return None
    flags, phc_index, tx_types, rx_filters = struct.unpack_from("=4xIiI12xI", answer)
    raw = bool(flags & RAW_HARDWARE)
    return Timestamping(
        phc_index=phc_index if phc_index >= 0 else None,
        adapter_rx=raw and bool(flags & RX_HARDWARE),
        adapter_rx_all=raw and bool(flags & RX_HARDWARE) and bool(rx_filters & RX_FILTER_ALL),
        adapter_tx=raw and bool(flags & TX_HARDWARE) and bool(tx_types & TX_TYPE_ON),
        host_rx=bool(flags & RX_SOFTWARE),
        host_tx=bool(flags & TX_SOFTWARE),
    )


def _field(raw: bytes) -> str | None:
    """The text before the first NUL; drivers also write "N/A" for what they do not have."""
    text = clean_text(raw.split(b"\0", 1)[0])
    return text if text not in ("", "N/A") else None
