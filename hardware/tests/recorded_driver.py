"""A stand-in for the driver: answers the socket ioctls, which umockdev does not mock.

A recording is TOML, a table a port; `encode` turns it into the bytes that the kernel would give, so
that the real parsers run.
"""

import struct
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from fieldtap_hardware import ethtool, optics
from msgspec import Struct

GDRVINFO, GET_TS_INFO, GGRO = 0x03, 0x41, 0x2B
NO_HARDWARE = 0x08 | 0x10 | 0x02  # software stamps alone
HARDWARE = NO_HARDWARE | 0x01 | 0x04 | 0x40
PTP_ONLY_FILTERS, ALL_FILTER = 1 << 12 | 1, 1 << 1 | 1
MASK_WORDS = 4
CONNECTORS = {words: number for number, words in ethtool.CONNECTORS.items()}


class SfpReadings(Struct, frozen=True, forbid_unknown_fields=True):
    """What an SFP measures; thresholds are those of a common 10GBASE-SR transceiver."""

    vendor: str = "FINISAR CORP."
    part: str = "FTLX8571D3BCL"
    monitored: bool = True
    temperature_c: float = 35.0
    supply_v: float = 3.3
    laser_bias_ma: float = 7.0
    tx_power_mw: float = 0.6
    rx_power_mw: float = 0.5


class RecordedPort(Struct, frozen=True, forbid_unknown_fields=True):
    """What one driver says."""

    driver: str
    version: str
    firmware: str = ""
    bus: str = ""
    connector: str = "none"
    phc: int = -1
    every_frame: bool = False
    statistics: Mapping[str, Sequence[int]] = {}  # first, second and later readings
    sfp: SfpReadings | None = None


class RecordedMachine(Struct, frozen=True, forbid_unknown_fields=True):
    """What the drivers of a machine say, and the verdict that each check must give."""

    port: Mapping[str, RecordedPort] = {}
    verdicts: Mapping[str, Mapping[str, str]] = {}  # by subject, then by check


def read_machine(file: Path) -> RecordedMachine:
    return msgspec.convert(tomllib.loads(file.read_text()), RecordedMachine)


class RecordedDriver:
    """An `ethtool.Query` over a recording; statistics move on at each reading."""

    def __init__(self, ports: Mapping[str, RecordedPort]) -> None:
        self._ports = ports
        self._readings: dict[str, int] = {}

    def __call__(self, port: str, request: bytes) -> bytes | None:
        recorded = self._ports.get(port)
        if recorded is None:
            return None
        (command,) = struct.unpack_from("=I", request)
        answer = self._answer(port, recorded, command, request)
        return None if answer is None else answer.ljust(len(request), b"\0")[: len(request)]

    def _answer(
        self, port: str, recorded: RecordedPort, command: int, request: bytes
    ) -> bytes | None:
        match command:
            case 0x03:
                fields = (recorded.driver, recorded.version, recorded.firmware, recorded.bus)
                info = struct.pack("=I32s32s32s32s", command, *map(str.encode, fields))
                return info.ljust(180, b"\0") + struct.pack("=I", len(recorded.statistics))
            case 0x41:
                return _stamping(recorded)
            case ethtool.GSTRINGS:
                names = b"".join(name.encode().ljust(32, b"\0") for name in recorded.statistics)
                return struct.pack("=III", command, 1, len(recorded.statistics)) + names
            case ethtool.GSTATS:
                turn = self._readings[port] = self._readings.get(port, -1) + 1
                values = [each[min(turn, len(each) - 1)] for each in recorded.statistics.values()]
                return struct.pack(f"=II{len(values)}Q", command, len(values), *values)
            case ethtool.GLINKSETTINGS:
                return _link_settings(recorded, request)
            case 0x42 if recorded.sfp:
                return struct.pack("=III", command, optics.SFF_8472, 512)
            case 0x43 if recorded.sfp:
                return request[: optics.EEPROM_AT] + sfp_memory(recorded.sfp)
        return None


def _stamping(recorded: RecordedPort) -> bytes:
    flags = HARDWARE if recorded.phc >= 0 else NO_HARDWARE
    filters = ALL_FILTER if recorded.every_frame else PTP_ONLY_FILTERS
    return struct.pack(
        "=IIiI12xI", 0x41, flags, recorded.phc, 3, filters if recorded.phc >= 0 else 1
    )


def _link_settings(recorded: RecordedPort, request: bytes) -> bytes:
    answer = bytearray(request)
    if request[ethtool.MASK_WORDS_AT] != MASK_WORDS:
        answer[ethtool.MASK_WORDS_AT] = 256 - MASK_WORDS
    else:
        answer[ethtool.CONNECTOR_AT] = CONNECTORS[recorded.connector]
    return bytes(answer)


def sfp_memory(readings: SfpReadings) -> bytes:
    """The memory of an SFP with internally calibrated diagnostics, as SFF-8472 lays it out."""
    memory = bytearray(512)
    memory[0] = optics.SFP
    memory[20:36] = readings.vendor.encode().ljust(16)
    memory[40:56] = readings.part.encode().ljust(16)
    memory[68:84] = b"UW5008K".ljust(16)
    memory[92] = 0x68 if readings.monitored else 0
    thresholds = (
        *(int(celsius * 256) for celsius in (78, -13, 73, -8)),
        *(int(volts * 10_000) for volts in (3.7, 2.9, 3.6, 3.0)),
        *(int(milliamperes * 500) for milliamperes in (13, 4, 12.5, 5)),
        *(int(milliwatts * 10_000) for milliwatts in (1.0, 0.1, 0.79, 0.18)),
        *(int(milliwatts * 10_000) for milliwatts in (1.0, 0.01, 0.79, 0.0158)),
    )
    struct.pack_into(">4h16H", memory, 256, *thresholds)
    struct.pack_into(
        ">h4H",
        memory,
        256 + 96,
        int(readings.temperature_c * 256),
        int(readings.supply_v * 10_000),
        int(readings.laser_bias_ma * 500),
        int(readings.tx_power_mw * 10_000),
        int(readings.rx_power_mw * 10_000),
    )
    return bytes(memory)
