"""Programs that keep time: which of them run, and what chrony and sfptpd say of themselves."""

import os
import re
import socket
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from fieldtap_hardware.programs import Ask, ask_program
from fieldtap_hardware.ptp import DEFAULT_SOCKETS
from fieldtap_hardware.sysfs import clean_text, read_bytes
from fieldtap_hardware.verdicts import Unreadable

PROGRAMS = (
    "ptp4l",
    "phc2sys",
    "ts2phc",
    "chronyd",
    "ntpd",
    "systemd-timesyncd",
    "sfptpd",
)
SOCKETS_VARIABLE = "FIELDTAP_PTP_SOCKET"
MAX_COMMAND_BYTES = 8192
MAX_CONFIG_BYTES = 1 << 16
SFPTPD_SOCKET = "/run/sfptpd/metrics.sock"
SFPTPD_TIMEOUT_S = 1.0
MAX_METRICS_BYTES = 1 << 18
CHRONY_COMMAND = ("chronyc", "-c", "tracking")
CHRONY_FIELDS = 14
LEAP_WORDS = ("Normal", "Insert second", "Delete second", "Not synchronised")
METRIC = re.compile(
    r"[a-z_]*?(offset_snapshot_seconds|owd_snapshot_seconds|in_sync|is_disciplining|alarmtxt)"
    r'\{sync="((?:[^"\\]|\\.){1,64})"(?:,alarms="((?:[^"\\]|\\.){0,400})")?\} (\S{1,40})(?: \S+)?'
)
FIGURE = re.compile(r"[+-]?[0-9]{1,12}(?:\.[0-9]{1,18})?(?:e[+-]?[0-9]{1,2})?")


class Daemon(Struct, frozen=True):
    """A running program that keeps time.

    `here` is whether it runs in our network namespace, None where we may not look.
    """

    pid: int
    program: str
    arguments: tuple[str, ...]
    here: bool | None

    def option(self, *names: str) -> str | None:
        """The value of an option: "-s eth2", "-seth2", "--uds_address X", "--uds_address=X"."""
        for place, argument in enumerate(self.arguments):
            if argument in names:
                return self.arguments[place + 1] if place + 1 < len(self.arguments) else None
            for name in names:
                prefix = f"{name}=" if name.startswith("--") else name
                if argument.startswith(prefix):
                    return argument.removeprefix(prefix)
        return None

    @property
    def steers_system_clock(self) -> bool:
        """By its options; a ptp4l does with software stamps, which its management socket tells."""
        if self.program == "chronyd":
            return "-x" not in self.arguments
        if self.program == "phc2sys":
            automatic = any(re.fullmatch("-a?r+a?r?", word) for word in self.arguments)
            feeds = self.option("-E", "--clock_servo") == "ntpshm"
            sink = self.option("-c") or "CLOCK_REALTIME"
            system = automatic if "-a" in self.arguments else sink == "CLOCK_REALTIME"
            return (system or automatic) and not feeds
        return self.program in ("ntpd", "systemd-timesyncd", "sfptpd")


class Chrony(Struct, frozen=True):
    """`chronyc tracking`: the system clock by chrony's own estimate."""

    reference: str  # its name, or its id in hex where it has none
    stratum: int
    offset_ns: int  # system clock less true time
    last_offset_ns: int
    root_delay_ns: int
    root_dispersion_ns: int
    leap: str  # one of LEAP_WORDS


class Sfptpd(Struct, frozen=True):
    """One sync instance of sfptpd; None for what it did not tell."""

    instance: str
    offset_ns: int | None
    path_delay_ns: int | None
    in_sync: bool | None
    disciplining: bool | None
    alarms: tuple[str, ...]  # "no-sync-pkts", ...


# --- processes ------------------------------------------------------------------------------------


def read_daemons(proc: Path = Path("/proc")) -> tuple[Daemon, ...]:
    """Every running program that keeps time, by pid."""
    ours = _namespace(proc / "self")
    daemons = list[Daemon]()
    for folder in sorted((path for path in proc.glob("[0-9]*")), key=lambda path: int(path.name)):
        words = _command(folder)
        program = Path(words[0]).name if words else ""
        if program in PROGRAMS:
            theirs = _namespace(folder)
            here = None if theirs is None or ours is None else theirs == ours
            daemons.append(Daemon(int(folder.name), program, tuple(words[1:]), here))
    return tuple(daemons)


def _command(folder: Path) -> list[str]:
    raw = read_bytes(folder / "cmdline", MAX_COMMAND_BYTES) or b""
    return [clean_text(word) for word in raw.removesuffix(b"\0").split(b"\0")] if raw else []


def _namespace(folder: Path) -> str | None:
    try:
        return str((folder / "ns/net").readlink())
    except OSError:
        return None


def management_sockets(daemons: Iterable[Daemon]) -> list[tuple[str, ...]]:
    """The management sockets of each ptp4l of this namespace, in the order to try them.

    `$FIELDTAP_PTP_SOCKET` (by colons) decides, else the options and configuration of the running
    daemons, else where linuxptp puts them by default. Those of another namespace are left out.
    """
    if given := os.environ.get(SOCKETS_VARIABLE):
        return [(path,) for path in given.split(":") if path]
    all_ptp4l = [daemon for daemon in daemons if daemon.program == "ptp4l"]
    groups = [_sockets_of(daemon) for daemon in all_ptp4l if daemon.here is not False]
    elsewhere = {path for d in all_ptp4l if d.here is False for path in _sockets_of(d)}
    default = tuple(path for path in DEFAULT_SOCKETS if path not in elsewhere)
    if not groups and any(Path(path).exists() for path in default):
        groups = [default]
    return list(dict.fromkeys(groups))


def _sockets_of(daemon: Daemon) -> tuple[str, ...]:
    path = daemon.option("-f", "--config")
    folder = Path(f"/proc/{daemon.pid}/cwd")  # where a relative path begins
    configured = parse_config(read_bytes(folder / path, MAX_CONFIG_BYTES) or b"" if path else b"")
    reader = daemon.option("--uds_ro_address") or configured.get("uds_ro_address")
    writer = daemon.option("--uds_address") or configured.get("uds_address")
    if reader is None and writer is None:
        return DEFAULT_SOCKETS
    return tuple(path for path in (reader, writer) if path)


def parse_config(raw: bytes) -> dict[str, str]:
    """The options of a linuxptp configuration, of all its sections together."""
    lines = (line.split(None, 1) for line in clean_text(raw).split("\n") if line[:1] not in "#[")
    return {words[0]: words[1].strip() for words in lines if len(words) == 2}


# --- chrony ---------------------------------------------------------------------------------------


def read_chrony(ask: Ask = ask_program) -> Chrony | Unreadable:
    """Ask the chronyd of this machine."""
    answer = ask(CHRONY_COMMAND)
    if isinstance(answer, Unreadable):
        return answer
    return parse_chrony(answer) or Unreadable(f"`{' '.join(CHRONY_COMMAND)}`: not understood")


def parse_chrony(raw: bytes) -> Chrony | None:
    """One line of comma-separated values (chrony's client.c, process_cmd_tracking)."""
    words = clean_text(raw).split(",")
    if len(words) != CHRONY_FIELDS or words[13] not in LEAP_WORDS:
        return None
    if not words[2].isdecimal() or len(words[2]) > 3:
        return None
    figures = [_ns(words[place]) for place in (4, 5, 10, 11)]
    offset, last, delay, dispersion = figures
    if offset is None or last is None or delay is None or dispersion is None:
        return None
    reference = words[1] or words[0]
    return Chrony(reference, int(words[2]), offset, last, delay, dispersion, words[13])


def _ns(seconds: str) -> int | None:
    return round(float(seconds) * 1e9) if FIGURE.fullmatch(seconds) else None


# --- sfptpd ---------------------------------------------------------------------------------------


def read_sfptpd(path: str = SFPTPD_SOCKET) -> tuple[Sfptpd, ...] | Unreadable:
    """Ask sfptpd for its metrics, without taking any away from who collects them."""
    request = b"GET /peek/metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(SFPTPD_TIMEOUT_S)
            connection.connect(path)
            connection.sendall(request)
            answer = b""
            while len(answer) < MAX_METRICS_BYTES and not answer.rstrip().endswith(b"# EOF"):
                received = connection.recv(1 << 16)
                if not received:
                    break
                answer += received
    except OSError as error:
        return Unreadable(f"{path}: {error.strerror or error}")
    if not answer.rstrip().endswith(b"# EOF"):
        return Unreadable(f"{path}: its metrics are cut off")
    return parse_metrics(answer)


def parse_metrics(raw: bytes) -> tuple[Sfptpd, ...]:
    """OpenMetrics as of sfptpd 3.8 (sfptpd_metrics.c); unknown lines are skipped."""
    found = dict[str, dict[str, str]]()
    for line in clean_text(raw).split("\n"):
        if match := METRIC.fullmatch(line.strip("\r?")):
            metric, instance, alarms, value = match.groups()
            found.setdefault(instance, {})[metric] = alarms or "" if metric == "alarmtxt" else value
    return tuple(_instance(name, metrics) for name, metrics in found.items())


def _instance(name: str, metrics: dict[str, str]) -> Sfptpd:
    return Sfptpd(
        name,
        _ns(metrics.get("offset_snapshot_seconds", "")),
        _ns(metrics.get("owd_snapshot_seconds", "")),
        _truth(metrics.get("in_sync")),
        _truth(metrics.get("is_disciplining")),
        tuple(word for word in re.split(r"[\s,:;]+", metrics.get("alarmtxt", "")) if word),
    )


def _truth(word: str | None) -> bool | None:
    return {"0": False, "1": True}.get(word or "")
