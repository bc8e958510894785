"""Where the machine's power comes from, and whether heat slows it down."""

from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from fieldtap_hardware.sysfs import parse_int, read_text
from fieldtap_hardware.verdicts import Check, Evidence, Verdict

SUPPLIES = Path("/sys/class/power_supply")
CPUS = Path("/sys/devices/system/cpu")
MACHINE = "machine"  # the subject of checks that are about the machine as a whole

NEARLY_EMPTY_PERCENT = 20
MAX_COUNT = (1 << 64) - 1


class Supply(Struct, frozen=True, kw_only=True):
    """One power supply of the machine itself; batteries of mice and phones are left out."""

    name: str
    kind: str  # "Mains", "USB", "Battery", ...
    online: bool | None  # gives power now; None for a battery
    status: str | None  # of a battery: "Charging", "Discharging", "Full", ...
    capacity_percent: int | None


def read_supplies(root: Path = SUPPLIES) -> tuple[Supply, ...]:
    """The supplies by name; none on most desktops and in guests."""
    return tuple(
        _read_supply(path)
        for path in sorted(root.glob("*"))
        if read_text(path / "scope") != "Device" and read_text(path / "type")
    )


def _read_supply(path: Path) -> Supply:
    online = parse_int(read_text(path / "online"), 0, 2)  # 2: a programmable USB supply
    return Supply(
        name=path.name,
        kind=read_text(path / "type") or "",
        online=None if online is None else online > 0,
        status=read_text(path / "status"),
        capacity_percent=parse_int(read_text(path / "capacity"), 0, 100),
    )


def runs_on_ac(supplies: Sequence[Supply]) -> bool | None:
    """Whether power comes from outside: a supply says so, or a battery does not run down.

    None where neither tells: a battery of unknown status proves nothing.
    """
    if any(one.online for one in supplies):
        return True
    if any(one.online is False for one in supplies):
        return False
    status = {one.status for one in supplies if one.kind == "Battery"}
    if "Discharging" in status:
        return False
    return True if status and status <= {"Charging", "Full", "Not charging"} else None


def check_supply(supplies: Sequence[Supply]) -> Check:
    """`ok` on mains, `warn` on battery, `fail` on one that is nearly empty."""
    evidence: Evidence = {
        "supplies": [
            f"{one.name}: {one.kind}, {one.status or ('online' if one.online else 'offline')}"
            for one in supplies
        ],
    }
    batteries = [one for one in supplies if one.kind == "Battery"]
    levels = [one.capacity_percent for one in batteries if one.capacity_percent is not None]
    evidence["battery_percent"] = min(levels, default=None)
    if not supplies:
        summary = "lists no power supply, as desktops and guests do"
        return _check("power.supply", Verdict.NOT_APPLICABLE, summary, evidence)
    discharging = [one.name for one in batteries if one.status == "Discharging"]
    plugged = runs_on_ac(supplies)
    level = f" at {min(levels)} %" if levels else ""
    if plugged and discharging:
        summary = f"is plugged in, but {discharging[0]} is discharged{level}"
        remedy = "use the laptop's own power supply: this one is too weak"
        return _check("power.supply", Verdict.WARN, summary, evidence, remedy)
    if plugged:
        return _check("power.supply", Verdict.OK, "runs on mains", evidence)
    if plugged is None or not batteries:
        summary = "does not tell where its power comes from"
        remedy = "see that the power supply is plugged in"
        return _check("power.supply", Verdict.UNKNOWN, summary, evidence, remedy)
    nearly_empty = bool(levels) and min(levels) < NEARLY_EMPTY_PERCENT
    verdict = Verdict.FAIL if nearly_empty else Verdict.WARN
    remedy = "plug in the power supply: on battery the processor slows down, too"
    return _check("power.supply", verdict, f"runs on battery{level}", evidence, remedy)


class Throttling(Struct, frozen=True):
    """How often heat slowed the processor: since boot, and while this machine was checked."""

    total: int
    rise: int


def read_throttling(root: Path = CPUS) -> int | None:
    """The most that any core or package was throttled since boot; None where none counts.

    Counters are those of Intel's processors (thermal_throttle); a package's is shown by each core.
    """
    counts = [
        parse_int(read_text(path), 0, MAX_COUNT)
        for path in root.glob("cpu[0-9]*/thermal_throttle/*_throttle_count")
    ]
    known = [count for count in counts if count is not None]
    return max(known, default=None)


def compare_throttling(before: int | None, after: int | None) -> Throttling | None:
    """Two readings; None where the processor does not count."""
    if before is None or after is None:
        return None
    return Throttling(after, max(0, after - before))


def check_throttling(throttling: Throttling | None) -> Check:
    """`ok` where heat never slowed the processor, `warn` where it did, `fail` where it does now."""
    if throttling is None:
        summary = "does not count when heat slows it down"
        return _check("power.throttling", Verdict.NOT_APPLICABLE, summary, {})
    evidence: Evidence = {"throttled_since_boot": throttling.total, "rise": throttling.rise}
    remedy = "let air reach it: free the vents, raise the laptop, move it away from other heat"
    if throttling.rise:
        summary = "is being slowed down by heat at this moment"
        return _check("power.throttling", Verdict.FAIL, summary, evidence, remedy)
    if throttling.total:
        summary = f"was slowed down by heat {throttling.total} times since it booted"
        return _check("power.throttling", Verdict.WARN, summary, evidence, remedy)
    summary = "was not slowed down by heat since it booted"
    return _check("power.throttling", Verdict.OK, summary, evidence)


def _check(
    id_: str, verdict: Verdict, summary: str, evidence: Evidence, remedy: str | None = None
) -> Check:
    return Check(id_, MACHINE, verdict, summary, evidence, remedy)
