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
GSTRINGS, GSTATS = 0x1B, 0x1D
STATISTICS = 1  # the set of strings that names statistics
NAME_BYTES = 32
STATISTICS_COUNT_AT = 180
MAX_STATISTICS = 65_536
# The kernel writes as many as there are by then, whatever room was given: queues may have come.
MORE_STATISTICS = 4096

# ethtool_link_settings, and its values of `port` (PORT_*).
GLINKSETTINGS = 0x4C
LINK_SETTINGS_BYTES = 48
CONNECTOR_AT, MASK_WORDS_AT = 9, 15
MAX_MASK_WORDS = 127
CONNECTORS = {0: "copper", 3: "fibre", 5: "cable", 0xEF: "none"}  # "cable": direct attach

# Commands that ask for one 32-bit value: segmentation and receive coalescing, then flags.
GTSO, GGSO, GFLAGS, GGRO = 0x1E, 0x23, 0x25, 0x2B
FLAG_RX_VLAN, FLAG_LRO = 1 << 8, 1 << 15

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


class Offloads(Struct, frozen=True):
    """What the port joins, cuts or takes out of frames by itself; None where it does not say."""

    gro: bool | None = None
    lro: bool | None = None
    tso: bool | None = None
    gso: bool | None = None
    rx_vlan: bool | None = None  # takes the outer tag out of received frames


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


def read_offloads(port: str, ask: Query) -> Offloads:
    """The offloads of `port` as they are set now."""
    flags = _value(ask, port, GFLAGS)
    switches = (_value(ask, port, command) for command in (GGRO, GTSO, GGSO))
    gro, tso, gso = (None if value is None else bool(value) for value in switches)
    return Offloads(
        gro=gro,
        lro=None if flags is None else bool(flags & FLAG_LRO),
        tso=tso,
        gso=gso,
        rx_vlan=None if flags is None else bool(flags & FLAG_RX_VLAN),
    )


def _value(ask: Query, port: str, command: int) -> int | None:
    answer = ask(port, struct.pack("=II", command, 0))
    return struct.unpack_from("=4xI", answer)[0] if answer and len(answer) >= 8 else None


def read_connector(port: str, ask: Query) -> str | None:
    """What is plugged into `port`, a value of `CONNECTORS`; None where the driver does not say."""
    first = ask(port, struct.pack("=I", GLINKSETTINGS).ljust(LINK_SETTINGS_BYTES, b"\0"))
    if first is None or len(first) < LINK_SETTINGS_BYTES:
        return None
    (words,) = struct.unpack_from("=b", first, MASK_WORDS_AT)
    if not -MAX_MASK_WORDS <= words < 0:  # the kernel refuses, and tells the length to ask with
        return None
    request = bytearray(struct.pack("=I", GLINKSETTINGS).ljust(LINK_SETTINGS_BYTES, b"\0"))
    request[MASK_WORDS_AT] = -words
    answer = ask(port, bytes(request) + bytes(3 * 4 * -words))
    return None if answer is None else CONNECTORS.get(answer[CONNECTOR_AT])


def read_statistics(port: str, ask: Query) -> dict[str, int] | None:
    """The driver's own counters by name; None where it keeps none."""
    info = ask(port, GDRVINFO)
    if info is None or len(info) < STATISTICS_COUNT_AT + 4:
        return None
    (count,) = struct.unpack_from("=I", info, STATISTICS_COUNT_AT)
    if not 0 < count <= MAX_STATISTICS:
        return None
    room = count + MORE_STATISTICS
    names = ask(port, struct.pack("=III", GSTRINGS, STATISTICS, count) + bytes(room * NAME_BYTES))
    values = ask(port, struct.pack("=II", GSTATS, count) + bytes(room * 8))
    return parse_statistics(names, values)


def parse_statistics(names: bytes | None, values: bytes | None) -> dict[str, int] | None:
    """Parse an ethtool_gstrings and the ethtool_stats that goes with it.

    None where one is missing, cut short, or counts other than its fellow: the driver changed its
    counters in between.
    """
    if names is None or values is None or len(names) < 12 or len(values) < 8:
        return None
    (count,) = struct.unpack_from("=8xI", names)
    (values_count,) = struct.unpack_from("=4xI", values)
    if count != values_count or len(names) < 12 + count * NAME_BYTES or len(values) < 8 + count * 8:
        return None
    fields = (names[at : at + NAME_BYTES] for at in range(12, 12 + count * NAME_BYTES, NAME_BYTES))
    counters = struct.unpack_from(f"={count}Q", values, 8)
    return {
        name: counter
        for name, counter in zip(map(_field, fields), counters, strict=True)
        if name is not None
    }


def _field(raw: bytes) -> str | None:
    """The text before the first NUL; drivers also write "N/A" for what they do not have."""
    text = clean_text(raw.split(b"\0", 1)[0])
    return text if text not in ("", "N/A") else None
