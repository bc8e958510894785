"""Is anything sent on a port? Whoever is tapped must hear nothing from the appliance.

The port's own counter is read twice. What the adapter's firmware sends by itself is in no counter:
Intel's X710 and E810 answer to LLDP in firmware until a private flag stops them (i40e and ice of
the kernel's driver documentation).
"""

import struct
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from msgspec import Struct

from fieldtap_hardware import ethtool
from fieldtap_hardware.ports import Port
from fieldtap_hardware.sysfs import parse_int, read_text
from fieldtap_hardware.verdicts import Check, Evidence, Verdict

INTERVAL_S = 0.5
NET = Path("/sys/class/net")

GSTRINGS, GPFLAGS = 0x1B, 0x27  # <linux/ethtool.h>
PRIVATE_FLAGS = 2  # the set of strings that names them
NAME_BYTES = 32
PRIVATE_FLAGS_COUNT_AT = 176  # in ethtool_drvinfo
MAX_PRIVATE_FLAGS = 32  # bits of the answer

# Driver: the flag about LLDP, and its value while the firmware keeps quiet.
LLDP_FLAGS = {"i40e": ("disable-fw-lldp", True), "ice": ("fw-lldp-agent", False)}


class Sent(Struct, frozen=True):
    """What a port sent: since its driver started, and while it was watched."""

    total_frames: int
    rise_frames: int
    interval_ms: int


def read_sent_frames(port: str, net: Path = NET) -> int | None:
    """The port's counter of sent frames; None where it has none."""
    return parse_int(read_text(net / port / "statistics/tx_packets"), 0, (1 << 64) - 1)


@dataclass
class SendMeter:
    """Reads the counters of `ports` when made, and again for `read`."""

    ports: Sequence[Port]
    started_s: float = field(default_factory=time.monotonic)
    before: Mapping[str, int | None] = field(init=False)

    def __post_init__(self) -> None:
        self.before = {port.name: read_sent_frames(port.name) for port in self.ports}

    def read(self) -> dict[str, Sent | None]:
        """What each port sent since, at least `INTERVAL_S` later; None where it does not count."""
        time.sleep(max(0, self.started_s + INTERVAL_S - time.monotonic()))
        interval_ms = int(1000 * (time.monotonic() - self.started_s))
        return {
            name: compare(before, read_sent_frames(name), interval_ms)
            for name, before in self.before.items()
        }


def compare(before: int | None, after: int | None, interval_ms: int) -> Sent | None:
    """Two readings of one counter; one that fell has begun anew with its driver."""
    if before is None or after is None:
        return None
    return Sent(after, after - before if after >= before else after, interval_ms)


def check_sending(port: Port, sent: Sent | None) -> Check:
    """`ok` where the port sent nothing while it was watched, `warn` where it did.

    A port that sends cannot be told from one that passes frames on, unless one knows who sends:
    the remedy shows the frames.
    """
    if sent is None:
        remedy = f"watch what it sends: `tcpdump -ni {port.name} -Q out`"
        return _check("port.sends", port, Verdict.UNKNOWN, "does not count what it sends", remedy)
    evidence: Evidence = {
        "sent_frames": sent.total_frames,
        "sent_frames_while_watched": sent.rise_frames,
        "watched_ms": sent.interval_ms,
    }
    watched = f"{sent.interval_ms / 1000:g} s"
    if sent.rise_frames:
        summary = f"sent {sent.rise_frames} frames within {watched}"
        remedy = (
            "unless a generator of yours does, see who: "
            f"`tcpdump -eni {port.name} -Q out -c 5`, and stop that program"
        )
        return _check("port.sends", port, Verdict.WARN, summary, remedy, evidence)
    if sent.total_frames:
        summary = f"sent nothing for {watched}, {sent.total_frames} frames before that"
    else:
        summary = "has sent nothing since its driver started"
    return _check("port.sends", port, Verdict.OK, summary, None, evidence)


def read_firmware_lldp(port: Port, ask: ethtool.Query) -> bool | None:
    """Whether the adapter's firmware sends LLDP by itself; None where it has no such flag."""
    name, quiet = LLDP_FLAGS.get(port.driver or "", ("", False))
    flag = read_private_flags(port.name, ask).get(name)
    return None if flag is None else flag is not quiet


def read_private_flags(port: str, ask: ethtool.Query) -> dict[str, bool]:
    """The driver's private flags by name; empty where it has none."""
    info = ask(port, ethtool.GDRVINFO)
    if info is None or len(info) < PRIVATE_FLAGS_COUNT_AT + 4:
        return {}
    (count,) = struct.unpack_from("=I", info, PRIVATE_FLAGS_COUNT_AT)
    if not 0 < count <= MAX_PRIVATE_FLAGS:
        return {}
    request = struct.pack("=III", GSTRINGS, PRIVATE_FLAGS, count)
    names = ask(port, request + bytes(MAX_PRIVATE_FLAGS * NAME_BYTES))
    values = ask(port, struct.pack("=II", GPFLAGS, 0))
    if names is None or values is None or len(values) < 8 or len(names) < 12 + count * NAME_BYTES:
        return {}
    (bits,) = struct.unpack_from("=4xI", values)
    fields = (names[12 + at * NAME_BYTES :][:NAME_BYTES] for at in range(count))
    words = (name.split(b"\0", 1)[0].decode("ascii", "replace") for name in fields)
    return {word: bool(bits >> at & 1) for at, word in enumerate(words) if word}


def check_lldp(port: Port, *, sends: bool | None) -> Check:
    """`warn` where the adapter's firmware sends LLDP, which no counter of the host shows."""
    name, quiet = LLDP_FLAGS.get(port.driver or "", ("", False))
    if not name:
        summary = "its firmware is not known to send anything by itself"
        return _check("port.lldp", port, Verdict.NOT_APPLICABLE, summary)
    evidence: Evidence = {"flag": name, "firmware_sends_lldp": sends}
    remedy = f"`ethtool --set-priv-flags {port.name} {name} {'on' if quiet else 'off'}`"
    if sends is None:
        summary = f"its driver does not show {name}: its firmware may send LLDP"
        return _check("port.lldp", port, Verdict.UNKNOWN, summary, f"try {remedy}", evidence)
    if sends:
        summary = "its firmware sends LLDP, and takes received LLDP away"
        return _check("port.lldp", port, Verdict.WARN, summary, f"stop it: {remedy}", evidence)
    return _check("port.lldp", port, Verdict.OK, "its firmware sends no LLDP", None, evidence)


def _check(
    id_: str,
    port: Port,
    verdict: Verdict,
    summary: str,
    remedy: str | None = None,
    evidence: Evidence | None = None,
) -> Check:
    return Check(id_, port.name, verdict, summary, evidence or {}, remedy)
