"""The drive under the captures: its health by its own word, and its temperature."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from fieldtap_hardware.explain import explain
from fieldtap_hardware.explain.model import Value
from fieldtap_hardware.programs import Ask
from fieldtap_hardware.sysfs import parse_int, read_text
from fieldtap_hardware.verdicts import Check, Evidence, Unreadable, Verdict

SYS = Path("/sys")
MOUNTS = Path("/proc/self/mountinfo")

ZERO_CELSIUS_K = 273
HOT_C = 70.0  # where a drive states no limit: consumer NVMe drives slow down from about there
NEAR_LIMIT_C = 5.0
WORN_PERCENT = 90
# ATA attributes whose raw value counts sectors that are lost or doubtful.
BAD_SECTORS = (
    "attribute_reallocated_sector_ct",
    "attribute_current_pending_sector",
    "attribute_offline_uncorrectable",
)
REPLACE = "copy the captures elsewhere and replace the drive"
OCTAL = re.compile(r"\\([0-7]{3})")  # how mountinfo writes white space


class Temperature(Struct, frozen=True):
    """In degrees Celsius; limits are None where the drive states none."""

    now_c: float
    warning_c: float | None
    critical_c: float | None


class Health(Struct, frozen=True, kw_only=True, tag=True):
    """What a drive says of itself; None is what it does not say."""

    source: str  # the program that asked it
    model: str | None
    passed: bool | None  # its own verdict
    critical_warning: int | None  # NVMe: bits
    spare_percent: int | None
    spare_threshold_percent: int | None
    worn_percent: int | None  # may exceed 100
    media_errors: int | None
    bad_sectors: int | None  # ATA
    temperature_c: float | None


class Drive(Struct, frozen=True, kw_only=True, tag=True):
    """The drive that holds a directory."""

    device: str  # "/dev/nvme0n1"
    model: str | None
    paravirtual: bool  # a guest's disk, whose drive only the host knows
    temperature: Temperature | None
    health: Health | Unreadable
    others: tuple[str, ...] = ()  # drives that hold the directory together with it, not asked


def read_drive(
    directory: Path, ask: Ask, sys: Path = SYS, mounts: Path = MOUNTS
) -> Drive | Unreadable:
    """The drive under `directory`, through partitions and stacked devices; of several the first.

    Asks smartctl, else nvme; both need root. `Unreadable` where no single drive is beneath: memory,
    a network, a directory that does not exist.
    """
    try:
        number = directory.stat().st_dev
    except OSError as error:
        return Unreadable(error.strerror or str(error))
    path = _block_device(number, sys)
    if path is None:
        kind, source = _mounted(number, mounts)
        path = _source_device(source, sys)
        if path is None:
            return Unreadable(f"is no drive but {kind or 'something else'}")
    disk, *others = _whole_disks(path)
    device = f"/dev/{disk.name}"
    paravirtual = "virtio" in str(disk) or disk.name.startswith(("vd", "xvd"))
    health = Unreadable("is a guest's disk") if paravirtual else ask_health(device, ask)
    return Drive(
        device=device,
        model=(read_text(disk / "device/model") or "").strip() or None,
        paravirtual=paravirtual,
        temperature=_read_temperature(disk) or _told_temperature(health),
        health=health,
        others=tuple(f"/dev/{one.name}" for one in others),
    )


def _block_device(number: int, sys: Path) -> Path | None:
    link = sys / f"dev/block/{os.major(number)}:{os.minor(number)}"
    return link.resolve() if link.exists() else None


def _mounted(number: int, mounts: Path) -> tuple[str | None, str | None]:
    """Kind and source of a file system without a device of its own (proc(5), mountinfo)."""
    try:
        text = mounts.read_text("utf-8", "replace")
    except OSError:
        return None, None
    for line in text.splitlines():
        fields, _, rest = line.partition(" - ")
        words = fields.split()
        if len(words) > 2 and words[2] == f"{os.major(number)}:{os.minor(number)}":
            kind, _, source = rest.partition(" ")
            return kind, OCTAL.sub(lambda match: chr(int(match[1], 8)), source.split(" ")[0])
    return None, None


def _source_device(source: str | None, sys: Path) -> Path | None:
    """btrfs and overlays have a number of their own; the first names its drive as the source."""
    if source is None or not source.startswith("/dev/"):
        return None
    try:
        return _block_device(Path(source).stat().st_rdev, sys)
    except (OSError, ValueError):
        return None


def _whole_disks(path: Path, depth: int = 8) -> list[Path]:
    """The disk of a partition, and those that a mapped, encrypted or joined device rests on."""
    if (path / "partition").exists():
        path = path.parent
    slaves = sorted((path / "slaves").glob("*")) if depth else []  # deeper stacks are not made
    found = [disk for slave in slaves for disk in _whole_disks(slave.resolve(), depth - 1)]
    return list(dict.fromkeys(found)) or [path]


def _read_temperature(disk: Path) -> Temperature | None:
    """By the kernel's sensors (hwmon): those of nvme, and of SATA disks with drivetemp."""
    for folder in sorted((*disk.glob("device/hwmon*"), *disk.glob("device/hwmon/hwmon*"))):
        now_c = _celsius(folder / "temp1_input")
        if now_c is not None:
            return Temperature(
                now_c, _celsius(folder / "temp1_max"), _celsius(folder / "temp1_crit")
            )
    return None


def _celsius(path: Path) -> float | None:
    thousandths = parse_int(read_text(path), -100_000, 300_000)
    return None if thousandths is None else thousandths / 1000


def _told_temperature(health: Health | Unreadable) -> Temperature | None:
    if isinstance(health, Unreadable) or health.temperature_c is None:
        return None
    return Temperature(health.temperature_c, None, None)


def ask_health(device: str, ask: Ask) -> Health | Unreadable:
    """By smartctl, which knows every kind of drive; by nvme where that is what is installed."""
    output = ask(("smartctl", "-j", "-a", device))
    if not isinstance(output, Unreadable):
        return parse_smartctl(output)
    if "nvme" not in device:
        return output
    by_nvme = ask(("nvme", "smart-log", device, "-o", "json"))
    return output if isinstance(by_nvme, Unreadable) else parse_nvme(by_nvme)


def parse_smartctl(output: bytes) -> Health | Unreadable:
    """The figures of `smartctl -j -a`."""
    explanation = explain("smartctl", output)
    if explanation.verdict is not Verdict.OK:
        return Unreadable(explanation.reason or "smartctl says nothing")
    said = explanation.items[0].values
    log = "nvme_smart_health"
    sectors = [count for key in BAD_SECTORS if (count := _count(said, key)) is not None]
    passed = said.get("smart_status_passed")
    return Health(
        source="smartctl",
        model=explanation.items[0].text("model_name"),
        passed=passed if isinstance(passed, bool) else None,
        critical_warning=_count(said, f"{log}_critical_warning"),
        spare_percent=_count(said, f"{log}_available_spare"),
        spare_threshold_percent=_count(said, f"{log}_available_spare_threshold"),
        worn_percent=_count(said, f"{log}_percentage_used"),
        media_errors=_count(said, f"{log}_media_errors"),
        bad_sectors=sum(sectors) if sectors else None,
        temperature_c=_number(said, "temperature_current"),
    )


def parse_nvme(output: bytes) -> Health | Unreadable:
    """The figures of `nvme smart-log -o json`."""
    explanation = explain("nvme", output)
    if explanation.verdict is not Verdict.OK:
        return Unreadable(explanation.reason or "nvme says nothing")
    said = explanation.items[0].values
    kelvins = _number(said, "temperature")
    worn = _count(said, "percent_used")
    return Health(
        source="nvme",
        model=None,
        passed=None,
        critical_warning=_count(said, "critical_warning"),
        spare_percent=_count(said, "avail_spare"),
        spare_threshold_percent=_count(said, "spare_thresh"),
        worn_percent=_count(said, "percentage_used") if worn is None else worn,
        media_errors=_count(said, "media_errors"),
        bad_sectors=None,
        temperature_c=None if kelvins is None else kelvins - ZERO_CELSIUS_K,
    )


def _number(said: Mapping[str, Value], key: str) -> float | None:
    value = said.get(key)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _count(said: Mapping[str, Value], key: str) -> int | None:
    value = said.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def check_health(directory: str, drive: Drive | Unreadable) -> Check:
    """`fail` where the drive gives itself up, `warn` where it wears out or has lost data."""
    if isinstance(drive, Unreadable) or drive.paravirtual:
        why = drive.reason if isinstance(drive, Unreadable) else "is a guest's disk"
        return _check("storage.health", directory, Verdict.NOT_APPLICABLE, why, {})
    health = drive.health
    evidence: Evidence = {"device": drive.device, "model": drive.model}
    if isinstance(health, Unreadable):
        summary = f"{drive.device} was not asked for its health: {health.reason}"
        remedy = "install smartmontools, and run this as root"
        return _check("storage.health", directory, Verdict.UNKNOWN, summary, evidence, remedy)
    evidence |= {
        "source": health.source,
        "model": drive.model or health.model,
        "passed": health.passed,
        "critical_warning": health.critical_warning,
        "spare_percent": health.spare_percent,
        "worn_percent": health.worn_percent,
        "media_errors": health.media_errors,
        "bad_sectors": health.bad_sectors,
    }
    if failing := _failing(health):
        summary = f"{drive.device} {failing}"
        return _check("storage.health", directory, Verdict.FAIL, summary, evidence, REPLACE)
    if ageing := _ageing(health):
        summary = f"{drive.device} {ageing}"
        remedy = "have another drive at hand, and copy captures off this one soon"
        return _check("storage.health", directory, Verdict.WARN, summary, evidence, remedy)
    if health.passed is None and health.critical_warning is None:
        summary = f"{drive.device} does not judge its own health"
        remedy = "test it: `smartctl -t short` and `smartctl -l selftest`"
        return _check("storage.health", directory, Verdict.UNKNOWN, summary, evidence, remedy)
    summary = f"{drive.device} calls itself healthy"
    if drive.others:
        summary += (
            f"; {', '.join(drive.others)}, which hold the folder together with it, were not asked"
        )
        remedy = f"ask each of them: `smartctl -H {drive.others[0]}`"
        return _check("storage.health", directory, Verdict.UNKNOWN, summary, evidence, remedy)
    return _check("storage.health", directory, Verdict.OK, summary, evidence)


def _failing(health: Health) -> str | None:
    if health.passed is False:
        return "says that it is failing"
    if health.critical_warning:
        return f"raises a critical warning ({health.critical_warning:#04x})"
    spare, least = health.spare_percent, health.spare_threshold_percent
    if spare is not None and least is not None and spare < least:
        return f"has {spare} % of its spare blocks left, below its limit of {least} %"
    return None


def _ageing(health: Health) -> str | None:
    if health.media_errors:
        return f"has lost data {health.media_errors} times (media errors)"
    if health.bad_sectors:
        return f"has {health.bad_sectors} bad sectors"
    if health.worn_percent is not None and health.worn_percent >= WORN_PERCENT:
        return f"is worn: {health.worn_percent} % of the writes that it was made for"
    return None


def check_temperature(directory: str, drive: Drive | Unreadable) -> Check:
    """`warn` near the limit, where it soon writes slower, `fail` at the critical one."""
    if isinstance(drive, Unreadable) or drive.paravirtual:
        why = drive.reason if isinstance(drive, Unreadable) else "is a guest's disk"
        return _check("storage.temperature", directory, Verdict.NOT_APPLICABLE, why, {})
    temperature = drive.temperature
    if temperature is None:
        summary = f"{drive.device} does not tell its temperature"
        remedy = "load its sensor: `modprobe drivetemp` for a SATA drive, or install smartmontools"
        return _check("storage.temperature", directory, Verdict.UNKNOWN, summary, {}, remedy)
    limit_c = temperature.warning_c or temperature.critical_c or HOT_C
    evidence: Evidence = {
        "device": drive.device,
        "temperature_c": temperature.now_c,
        "warning_c": temperature.warning_c,
        "critical_c": temperature.critical_c,
        "judged_by_c": limit_c,
    }
    summary = f"{drive.device} has {temperature.now_c:g} °C, and its limit is {limit_c:g} °C"
    remedy = "cool it: an enclosure with a fan, or a heat sink; hot drives write slower"
    if temperature.critical_c is not None and temperature.now_c >= temperature.critical_c:
        verdict = Verdict.FAIL
    elif temperature.now_c >= limit_c - NEAR_LIMIT_C:
        verdict = Verdict.WARN
    else:
        return _check("storage.temperature", directory, Verdict.OK, summary, evidence)
    return _check("storage.temperature", directory, verdict, summary, evidence, remedy)


def _check(
    id_: str,
    directory: str,
    verdict: Verdict,
    summary: str,
    evidence: Evidence,
    remedy: str | None = None,
) -> Check:
    return Check(id_, directory, verdict, summary, evidence, remedy)
