"""Bypass adapters: what their relay does now, without power, after power-up, and after a hang.

A relay joins two ports of the adapter so that the link goes on without this machine. Its settings
are read from Silicom's driver, by /proc/net/bypass or `bpctl_util`; they say how the adapter is
configured. Whether the relay does it can only be seen by pulling the plug.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path

from msgspec import Struct

from fieldtap_hardware.explain import explain
from fieldtap_hardware.explain.model import Value
from fieldtap_hardware.ports import Port
from fieldtap_hardware.programs import Ask
from fieldtap_hardware.sysfs import parse_int, read_text
from fieldtap_hardware.verdicts import Check, Evidence, Unreadable, Verdict

PROC = Path("/proc/net/bypass")
NET = Path("/sys/class/net")
SILICOM = 0x1374  # vendor, or vendor of the board

# What `bpctl_util PORT` is asked; one that the adapter cannot do leaves the others as they are.
QUESTIONS = (
    "get_bypass",
    "get_tap",
    "get_disc",
    "get_bypass_pwoff",
    "get_bypass_pwup",
    "get_disc_pwup",
    "get_bypass_wd",
    "get_wd_exp_mode",
)
UNTESTED = "as configured, not physically tested"


class State(StrEnum):
    """What a relay does with the two ports of its pair."""

    BYPASS = "bypass"  # joins them
    TAP = "tap"  # joins them, and the machine listens
    NORMAL = "normal"  # leads each to the machine
    DISCONNECT = "disconnect"  # leads them nowhere

    @property
    def passes(self) -> bool:
        return self in (State.BYPASS, State.TAP)


class Duty(StrEnum):
    """What a link must do when this machine is dead."""

    BLOCK = "block"
    CARRY = "carry"


class Relay(Struct, frozen=True, kw_only=True, tag=True):
    """The settings of one relay; None where the adapter does not tell."""

    source: str  # "bpctl_util" or the folder in /proc
    running: State | None
    power_off: State | None
    power_up: State | None
    watchdog_ms: int | None  # 0: off
    expiry: State | None  # once the watchdog was not fed in time
    slave: bool = False  # the second port of a pair, which the first one controls


def read_relay(
    port: Port, ask: Ask | None, proc: Path = PROC, net: Path = NET
) -> Relay | Unreadable | None:
    """The relay of a port; None where it is not known to have one.

    `ask` runs `bpctl_util`, for an adapter of Silicom whose driver shows nothing in /proc; without
    it no program is run.
    """
    folder = proc / f"bypass_{port.name}"
    if folder.is_dir():
        return _read_proc(folder)
    if port.name in (read_text(path) for path in proc.glob("bypass_*/bypass_slave")):
        return _slave(str(proc))
    device = net / port.name / "device"
    vendors = (parse_int(read_text(device / f), 0, 0xFFFF) for f in ("vendor", "subsystem_vendor"))
    if SILICOM not in vendors:
        return None
    if ask is None:
        return Unreadable("bpctl_util was not asked")
    return _ask_bpctl(port.name, ask)


def _read_proc(folder: Path) -> Relay:
    """Files hold "on", "off", a mode or a time; "-1" and "fail" where the adapter cannot tell."""
    said = {path: read_text(folder / path) for path in ("bypass", "tap", "disc")}
    expiry = read_text(folder / "wd_exp_mode")
    timeout = read_text(folder / "bypass_wd")
    return Relay(
        source=str(folder),
        running=_mode(_on(said["bypass"]), _on(said["tap"]), _on(said["disc"])),
        power_off=_mode(_on(read_text(folder / "bypass_pwoff"))),
        power_up=_mode(
            _on(read_text(folder / "bypass_pwup")),
            _on(read_text(folder / "tap_pwup")),
            _on(read_text(folder / "disc_pwup")),
        ),
        watchdog_ms=0 if timeout in ("disable", "off") else parse_int(timeout, 0, 1 << 31),
        expiry={"bypass": State.BYPASS, "tap": State.TAP, "disc": State.DISCONNECT}.get(
            expiry or ""
        ),
    )


def _ask_bpctl(port: str, ask: Ask) -> Relay | Unreadable:
    said: dict[str, Value] = {}
    for question in QUESTIONS:
        output = ask(("bpctl_util", port, question))
        if isinstance(output, Unreadable):
            return output
        for item in explain("bpctl", output).items:
            said |= item.values
    if said.get("slave") or said.get("slave_or_not_capable"):
        return _slave("bpctl_util")
    return relay_of(said)


def relay_of(said: Mapping[str, Value]) -> Relay:
    """The settings from the values of `explain("bpctl", ...)`."""
    words = {"Bypass": State.BYPASS, "TAP": State.TAP, "Disconnect": State.DISCONNECT}
    timeout = said.get("watchdog_ms")
    return Relay(
        source="bpctl_util",
        running=_mode(*(_truth(said, f"now_{key}") for key in ("bypass", "tap", "disconnect"))),
        power_off=_mode(_truth(said, "power_off_bypass")),
        power_up=_mode(
            *(_truth(said, f"power_up_{key}") for key in ("bypass", "tap", "disconnect"))
        ),
        watchdog_ms=timeout if isinstance(timeout, int) else None,
        expiry=words.get(str(said.get("watchdog_expiry"))),
    )


def _slave(source: str) -> Relay:
    return Relay(
        source=source,
        running=None,
        power_off=None,
        power_up=None,
        watchdog_ms=None,
        expiry=None,
        slave=True,
    )


def _truth(said: Mapping[str, Value], key: str) -> bool | None:
    value = said.get(key)
    return value if isinstance(value, bool) else None


def _on(text: str | None) -> bool | None:
    return {"on": True, "off": False}.get(text or "")


def _mode(
    bypass: bool | None,
    tap: bool | None = False,
    disconnect: bool | None = False,
) -> State | None:
    """One state from its parts; an adapter without a tap or disconnect mode does not tell them."""
    if bypass:
        return State.BYPASS
    if tap:
        return State.TAP
    if disconnect:
        return State.DISCONNECT
    return State.NORMAL if bypass is False else None


def check_relay(
    port: Port, relay: Relay | Unreadable | None, duty: Duty = Duty.BLOCK
) -> list[Check]:
    """One check a state of the machine, by what the link must do in it.

    An adapter that is not known to have a relay passes nothing by itself: `not_applicable`.
    """
    if relay is None or (isinstance(relay, Relay) and relay.slave):
        summary = "has no bypass relay that is known"
        if relay is not None:
            summary = "is the second port of a bypass pair, judged by the first"
        return [Check("port.bypass", port.name, Verdict.NOT_APPLICABLE, summary, {})]
    if isinstance(relay, Unreadable):
        summary = f"is on a board by Silicom, which may have a bypass relay: {relay.reason}"
        remedy = "install Silicom's driver and bpctl_util, and run this as root"
        return [Check("port.bypass", port.name, Verdict.UNKNOWN, summary, {}, remedy)]
    expiry, expiry_words = relay.expiry, "once this machine hangs and the watchdog expires"
    if relay.watchdog_ms == 0:
        expiry, expiry_words = relay.running, "once this machine hangs, for the watchdog is off"
    elif relay.watchdog_ms is None and not _do_alike(relay.running, relay.expiry):
        expiry, expiry_words = None, "once this machine hangs: is its watchdog on?"
    states: Sequence[tuple[str, State | None, str, Mapping[Duty, str]]] = (
        ("port.bypass_running", relay.running, "now", _commands("set_bypass off", "set_bypass on")),
        (
            "port.bypass_power_off",
            relay.power_off,
            "without power",
            _commands("set_bypass_pwoff off", "set_bypass_pwoff on"),
        ),
        (
            "port.bypass_power_up",
            relay.power_up,
            "between power-up and the driver",
            _commands("set_bypass_pwup off", "set_bypass_pwup on"),
        ),
        (
            "port.bypass_watchdog",
            expiry,
            expiry_words,
            _commands("set_wd_exp_mode disc", "set_wd_exp_mode bypass"),
        ),
    )
    return [
        _judge(port, relay, duty, identifier, state, when, commands[duty])
        for identifier, state, when, commands in states
    ]


def _do_alike(running: State | None, expiry: State | None) -> bool:
    """Whether a hang leads to the same, whether the watchdog is on or off."""
    return running is not None and expiry is not None and running.passes == expiry.passes


def _commands(block: str, carry: str) -> dict[Duty, str]:
    return {Duty.BLOCK: block, Duty.CARRY: carry}


def _judge(
    port: Port,
    relay: Relay,
    duty: Duty,
    identifier: str,
    state: State | None,
    when: str,
    command: str,
) -> Check:
    evidence: Evidence = {
        "source": relay.source,
        "state": state,
        "watchdog_ms": relay.watchdog_ms,
        "link_must": duty,
        "physically_tested": False,
    }
    if state is None:
        summary = f"does not tell whether the link passes {when}"
        remedy = "see its manual, and try it: unplug this machine and watch the link"
        return Check(identifier, port.name, Verdict.UNKNOWN, summary, evidence, remedy)
    does = "passes this machine by" if state.passes else "is cut"
    summary = f"the link {does} {when} ({state}, {UNTESTED})"
    if state.passes == (duty is Duty.CARRY):
        return Check(identifier, port.name, Verdict.OK, summary, evidence)
    remedy = f"`bpctl_util {port.name} {command}`, then try it: the link must {duty}"
    return Check(identifier, port.name, Verdict.FAIL, summary, evidence, remedy)
