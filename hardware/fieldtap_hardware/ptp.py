"""A client of ptp4l's management socket: what a PTP clock says of itself.

The messages are IEEE 1588 management GETs over AF_UNIX datagrams, as in linuxptp's `msg.h`, `tlv.h`
and `uds.c`; big-endian but for the counters of PORT_STATS_NP. Only GET is sent, with no boundary
hop, so that nothing leaves this machine. Every answer is read with bounds.
"""

import os
import select
import shutil
import socket
import struct
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

from fieldtap_hardware.sysfs import clean_text
from fieldtap_hardware.verdicts import Unreadable

DEFAULT_SOCKETS = (
    "/var/run/ptp4lro",  # linuxptp 4: for everybody, GET only
    "/var/run/ptp4l",
    "/var/run/ptp/ptp4lro",
    "/var/run/ptp/ptp4l",
)
ANSWER_TIMEOUT_S = 0.5  # a local daemon answers in a millisecond; one that restarts, never
MAX_ANSWER_BYTES = 1500
MAX_ANSWERS = 512  # in one reading, lest a babbling peer hold us
MAX_PORTS = 64

GET, RESPONSE = 0, 2
MANAGEMENT, ERROR_STATUS = 1, 2
ALL_PORTS = b"\xff" * 10
HEADER = struct.Struct(">BBHB15x8sHHBB8sHBBBxHHH")  # to the data set's id, 54 bytes

STATES = (
    "INITIALIZING",
    "FAULTY",
    "DISABLED",
    "LISTENING",
    "PRE_MASTER",
    "MASTER",
    "PASSIVE",
    "UNCALIBRATED",
    "SLAVE",
    "GRAND_MASTER",
)
TIMESTAMPING = ("SOFTWARE", "HARDWARE", "LEGACY", "ONESTEP", "P2P1STEP")
RX_SYNC, RX_FOLLOW_UP, RX_DELAY_RESP, RX_ANNOUNCE = 0, 8, 9, 11  # IEEE 1588 message types


# --- data sets ------------------------------------------------------------------------------------


class DefaultSet(Struct, frozen=True):
    """DEFAULT_DATA_SET: the clock itself."""

    two_step: bool
    slave_only: bool
    ports: int
    priority1: int
    clock_class: int
    accuracy: int  # IEEE 1588 table 5: 0x21 is 100 ns, 0xfe unknown
    priority2: int
    identity: str
    domain: int


class CurrentSet(Struct, frozen=True):
    """CURRENT_DATA_SET: the slave's own estimates."""

    steps_removed: int
    offset_ns: float
    path_delay_ns: float


class ParentSet(Struct, frozen=True):
    """PARENT_DATA_SET: who is followed, and the grandmaster behind it."""

    port: str
    priority1: int
    clock_class: int
    accuracy: int
    priority2: int
    grandmaster: str


class TimeProperties(Struct, frozen=True):
    """TIME_PROPERTIES_DATA_SET: what the grandmaster says of its timescale."""

    utc_offset_s: int
    leap61: bool
    leap59: bool
    utc_offset_valid: bool
    ptp_timescale: bool
    time_traceable: bool
    frequency_traceable: bool
    source: int


class TimeStatus(Struct, frozen=True):
    """TIME_STATUS_NP: the last Sync that was used; `ingress_ns` tells it from the next."""

    offset_ns: int
    ingress_ns: int
    grandmaster_present: bool
    grandmaster: str


class PortSet(Struct, frozen=True):
    """PORT_DATA_SET; the intervals are those configured here, not the master's."""

    port: str
    state: str
    announce_interval_s: float
    announce_timeout: int  # intervals
    sync_interval_s: float


class PortStats(Struct, frozen=True):
    """PORT_STATS_NP: messages received so far."""

    port: str
    syncs: int
    follow_ups: int
    delay_responses: int
    announces: int


class PortProperties(Struct, frozen=True):
    """PORT_PROPERTIES_NP."""

    port: str
    state: str
    timestamping: str
    interface: str


class PortHwclock(Struct, frozen=True):
    """PORT_HWCLOCK_NP (linuxptp 4); None where the port has no clock in hardware."""

    port: str
    phc_index: int | None


Kind = TypeVar("Kind", bound=Struct)
DataSet = (
    DefaultSet
    | CurrentSet
    | ParentSet
    | TimeProperties
    | TimeStatus
    | PortSet
    | PortStats
    | PortProperties
    | PortHwclock
)


class PtpPort(Struct, frozen=True):
    """A port of a clock; None for what it did not answer."""

    settings: PortSet
    stats: PortStats | None = None
    properties: PortProperties | None = None
    hwclock: PortHwclock | None = None

    @property
    def state(self) -> str:
        return self.settings.state

    @property
    def name(self) -> str:
        """The interface where known, else the port's identity."""
        return self.properties.interface if self.properties else self.settings.port


class PtpClock(Struct, frozen=True):
    """What a ptp4l said of itself; None for what it did not answer."""

    socket: str
    default: DefaultSet
    current: CurrentSet | None = None
    parent: ParentSet | None = None
    time: TimeProperties | None = None
    status: TimeStatus | None = None
    ports: tuple[PtpPort, ...] = ()

    @property
    def name(self) -> str:
        """Its interfaces by comma; its identity where they are not known."""
        return ",".join(port.name for port in self.ports) or self.default.identity


# --- bytes to values ------------------------------------------------------------------------------


def _clock(data: bytes) -> str:
    digits = data[:8].hex()
    return f"{digits[:6]}.{digits[6:10]}.{digits[10:]}"  # as pmc prints it


def _port(data: bytes) -> str:
    return f"{_clock(data)}-{int.from_bytes(data[8:10], 'big')}"


def _word(words: Sequence[str], index: int) -> str:
    return words[index] if 0 <= index < len(words) else f"UNKNOWN_{index}"


def _default(data: bytes) -> DefaultSet:
    flags, ports, priority1, grade, accuracy, priority2 = struct.unpack_from(">BxHBBBxxB", data)
    two_step, slave_only = bool(flags & 1), bool(flags & 2)
    identity, domain = _clock(data[10:18]), data[18]
    return DefaultSet(
        two_step, slave_only, ports, priority1, grade, accuracy, priority2, identity, domain
    )


def _current(data: bytes) -> CurrentSet:
    steps, offset, delay = struct.unpack_from(">Hqq", data)
    return CurrentSet(steps, offset / 65536, delay / 65536)  # time intervals: ns times 2^16


def _parent(data: bytes) -> ParentSet:
    priority1, grade, accuracy, priority2 = struct.unpack_from(">BBBxxB", data, 18)
    return ParentSet(_port(data), priority1, grade, accuracy, priority2, _clock(data[24:32]))


def _time(data: bytes) -> TimeProperties:
    offset_s, flags, source = struct.unpack_from(">hBB", data)
    leap61, leap59, valid, ptp, time, frequency = (bool(flags >> bit & 1) for bit in range(6))
    return TimeProperties(offset_s, leap61, leap59, valid, ptp, time, frequency, source)


def _status(data: bytes) -> TimeStatus:
    offset, ingress, present = struct.unpack_from(">qq22xi", data)
    return TimeStatus(offset, ingress, present != 0, _clock(data[42:50]))


def _port_set(data: bytes) -> PortSet:
    state, announce, timeout, sync = struct.unpack_from(">B9xbBb", data, 10)
    return PortSet(_port(data), _state(state), _interval_s(announce), timeout, _interval_s(sync))


def _state(number: int) -> str:
    return _word(STATES, number - 1)


def _interval_s(log2: int) -> float:
    """Seconds; IEEE 1588 lets a profile use -7 to 7, and what lies far outside is nonsense."""
    return float(2.0 ** max(-16, min(16, log2)))


def _stats(data: bytes) -> PortStats:
    received = struct.unpack_from("<16Q", data, 10)
    return PortStats(
        _port(data),
        received[RX_SYNC],
        received[RX_FOLLOW_UP],
        received[RX_DELAY_RESP],
        received[RX_ANNOUNCE],
    )


def _properties(data: bytes) -> PortProperties | None:
    name = data[13 : 13 + data[12]]
    if len(name) < data[12]:
        return None
    return PortProperties(
        _port(data), _state(data[10]), _word(TIMESTAMPING, data[11]), clean_text(name)
    )


def _hwclock(data: bytes) -> PortHwclock:
    (index,) = struct.unpack_from(">i", data, 10)
    return PortHwclock(_port(data), index if index >= 0 else None)


# Id, fewest bytes, parser.
DEFAULT_ID = 0x2000
CLOCK_SETS: dict[int, tuple[int, Callable[[bytes], DataSet | None]]] = {
    DEFAULT_ID: (19, _default),
    0x2001: (18, _current),
    0x2002: (32, _parent),
    0x2003: (4, _time),
    0xC000: (50, _status),
}
PORT_SETS: dict[int, tuple[int, Callable[[bytes], DataSet | None]]] = {
    0x2004: (26, _port_set),
    0xC005: (266, _stats),
    0xC004: (13, _properties),
    0xC009: (15, _hwclock),
}
SETS = CLOCK_SETS | PORT_SETS


class Answer(Struct, frozen=True):
    """An answer to a GET; `value` is None for a refusal and for a data set that is cut off."""

    sequence: int
    identifier: int
    value: DataSet | None


def build_get(identifier: int, sequence: int) -> bytes:
    """The 54 bytes that ask every port of a clock for one data set."""
    return HEADER.pack(
        0x0D,  # management
        2,  # PTP version
        HEADER.size,
        0,  # domain: not looked at on this socket
        bytes(8),
        os.getpid() & 0xFFFF,
        sequence,
        4,
        0x7F,
        ALL_PORTS[:8],
        0xFFFF,
        0,  # boundary hops, twice: none
        0,
        GET,
        MANAGEMENT,
        2,
        identifier,
    )


def parse_answer(message: bytes) -> Answer | None:
    """Any bytes; None for what is no whole answer to a GET."""
    if len(message) < HEADER.size:
        return None
    kind, version, length, *_, action, tlv, tlv_bytes, identifier = HEADER.unpack_from(message)
    (sequence,) = struct.unpack_from(">H", message, 30)
    if kind & 0x0F != 0x0D or version & 0x0F != 2 or action & 0x0F != RESPONSE:
        return None
    data = message[HEADER.size : HEADER.size - 2 + tlv_bytes]
    if len(message) < length or tlv_bytes < 2 or len(data) != tlv_bytes - 2:
        return None
    if tlv == ERROR_STATUS:  # the error's code stands where the id else is
        return Answer(sequence, int.from_bytes(data[:2], "big"), None) if len(data) >= 2 else None
    if tlv != MANAGEMENT or identifier not in SETS:
        return None
    fewest, parse = SETS[identifier]
    return Answer(sequence, identifier, parse(data) if len(data) >= fewest else None)


# --- asking ---------------------------------------------------------------------------------------


def read_clock_at(path: str, timeout_s: float = ANSWER_TIMEOUT_S) -> PtpClock | Unreadable:
    """Ask the ptp4l whose management socket is `path`; the reason where it does not answer.

    Waits at most `timeout_s` for the first answer, and as long again for those of every port.
    """
    try:
        with _reply_socket() as asking:
            asking.settimeout(timeout_s)  # for sending: who was stopped lets its queue fill up
            asking.connect(path)  # from here on the kernel takes answers from there alone
            answer = _first(DefaultSet, _ask(asking, {DEFAULT_ID: 1}, timeout_s))
            if answer is None:
                return Unreadable(f"{path}: no answer within {timeout_s:g} s")
            wanted = {identifier: 1 for identifier in CLOCK_SETS if identifier != DEFAULT_ID}
            wanted |= dict.fromkeys(PORT_SETS, min(answer.ports, MAX_PORTS))
            return _assemble(path, answer, _ask(asking, wanted, timeout_s))
    except OSError as error:
        return Unreadable(f"{path}: {error.strerror or error}")


@contextmanager
def _reply_socket() -> Iterator[socket.socket]:
    """A socket bound to a path of its own, for an answer needs an address; no path stays behind.

    A path, unlike an abstract name, reaches a daemon in another network namespace. One that a
    killed process left is removed by the next.
    """
    base = _runtime_dir()
    _sweep(base)
    folder = tempfile.mkdtemp(prefix=f"{REPLY_PREFIX}{os.getpid()}-", dir=base)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as asking:
            asking.bind(f"{folder}/reply")
            yield asking
    finally:
        shutil.rmtree(folder, ignore_errors=True)


REPLY_PREFIX = "fieldtap-ptp-"


def _runtime_dir() -> str:
    candidates = ("/run", os.environ.get("XDG_RUNTIME_DIR", ""))
    writable = (path for path in candidates if path and os.access(path, os.W_OK))
    return next(writable, tempfile.gettempdir())


def _sweep(base: str) -> None:
    for folder in Path(base).glob(f"{REPLY_PREFIX}*-*"):
        pid = folder.name.removeprefix(REPLY_PREFIX).partition("-")[0]
        if pid.isdigit() and not Path("/proc", pid).exists():
            shutil.rmtree(folder, ignore_errors=True)


def _ask(asking: socket.socket, wanted: dict[int, int], timeout_s: float) -> list[DataSet]:
    """Send a GET for each id; take answers until each came as often as wanted, or time is up."""
    for sequence, identifier in enumerate(wanted):
        asking.send(build_get(identifier, sequence))
    sent, missing, values = tuple(wanted), dict(wanted), list[DataSet]()
    give_up_s = time.monotonic() + timeout_s
    for _ in range(MAX_ANSWERS):
        left_s = max(0.0, give_up_s - time.monotonic())
        if not any(missing.values()) or not select.select([asking], [], [], left_s)[0]:
            break
        answer = parse_answer(asking.recv(MAX_ANSWER_BYTES))
        if answer is None or sent[answer.sequence : answer.sequence + 1] != (answer.identifier,):
            continue
        if answer.value is None:
            missing[answer.identifier] = 0  # refused: this release does not know it
        elif missing[answer.identifier]:
            missing[answer.identifier] -= 1
            values.append(answer.value)
    return values


def _assemble(path: str, default: DefaultSet, values: Sequence[DataSet]) -> PtpClock:
    ports = [
        PtpPort(
            settings,
            _first(PortStats, _of_port(values, settings.port)),
            _first(PortProperties, _of_port(values, settings.port)),
            _first(PortHwclock, _of_port(values, settings.port)),
        )
        for settings in values
        if isinstance(settings, PortSet)
    ]
    return PtpClock(
        path,
        default,
        _first(CurrentSet, values),
        _first(ParentSet, values),
        _first(TimeProperties, values),
        _first(TimeStatus, values),
        tuple(sorted(ports, key=lambda port: int(port.settings.port.rpartition("-")[2]))),
    )


def _of_port(values: Sequence[DataSet], port: str) -> list[DataSet]:
    kinds = (PortStats, PortProperties, PortHwclock)
    return [value for value in values if isinstance(value, kinds) and value.port == port]


def _first(kind: type[Kind], values: Sequence[DataSet]) -> Kind | None:
    return next((value for value in values if isinstance(value, kind)), None)
