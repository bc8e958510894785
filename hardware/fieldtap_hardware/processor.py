"""Is the processor ready to take frames at any moment: its clock rate, its sleep, its cores?

From /sys/devices/system/cpu (Documentation/ABI/testing/sysfs-devices-system-cpu of the kernel).
"""

import os
import struct
from collections import Counter
from pathlib import Path

from msgspec import Struct

from fieldtap_hardware.power import MACHINE
from fieldtap_hardware.sysfs import parse_int, read_text
from fieldtap_hardware.verdicts import Check, Evidence, Verdict

CPUS = Path("/sys/devices/system/cpu")
LATENCY_REQUEST = Path("/dev/cpu_dma_latency")

MAX_CPUS = 8192  # CONFIG_NR_CPUS of the largest kernels
DEEP_SLEEP_US = 100  # an adapter's own buffer of 512 KiB holds 400 us of 10 Gb/s
ENOUGH_TO_ISOLATE = 4


class IdleState(Struct, frozen=True):
    """A way to sleep that the kernel may choose now."""

    name: str
    exit_latency_us: int


class Processor(Struct, frozen=True, kw_only=True):
    """What is set for all cores together."""

    online: tuple[int, ...]
    isolated: tuple[int, ...]
    governors: dict[str, int]  # cores by governor; empty where the kernel does not set rates
    frequency_driver: str | None
    turbo: bool | None
    idle_driver: str | None
    idle_states: tuple[IdleState, ...]  # those that are enabled, on any core
    latency_limit_us: int | None  # what programs ask to be kept; None: not known


def read_processor(root: Path = CPUS, latency_request: Path = LATENCY_REQUEST) -> Processor:
    """Look at every core; nothing is changed."""
    paths = [path for path in root.glob("cpu[0-9]*") if path.is_dir()][:MAX_CPUS]
    governors = Counter(read_text(path / "cpufreq/scaling_governor") for path in paths)
    governors.pop(None, None)
    states = {state for path in paths for state in _idle_states(path)}
    return Processor(
        online=parse_cpu_list(read_text(root / "online")),
        isolated=parse_cpu_list(read_text(root / "isolated")),
        governors={name: count for name, count in governors.items() if name},
        frequency_driver=read_text(root / "cpu0/cpufreq/scaling_driver"),
        turbo=_turbo(root),
        idle_driver=read_text(root / "cpuidle/current_driver"),
        idle_states=tuple(sorted(states, key=lambda one: (one.exit_latency_us, one.name))),
        latency_limit_us=_latency_limit_us(latency_request),
    )


def parse_cpu_list(text: str | None) -> tuple[int, ...]:
    """Cores from "0-3,8"; what is no such list, or names too many, is empty."""
    found: set[int] = set()
    for part in (text or "").split(","):
        first, dash, last = part.partition("-")
        low = parse_int(first, 0, MAX_CPUS - 1)
        high = parse_int(last, 0, MAX_CPUS - 1) if dash else low
        if low is None or high is None or high < low:
            return ()
        found.update(range(low, high + 1))
    return tuple(sorted(found))


def _turbo(root: Path) -> bool | None:
    no_turbo = parse_int(read_text(root / "intel_pstate/no_turbo"), 0, 1)
    if no_turbo is not None:
        return not no_turbo
    boost = parse_int(read_text(root / "cpufreq/boost"), 0, 1)
    return None if boost is None else bool(boost)


def _idle_states(cpu: Path) -> list[IdleState]:
    found = []
    for path in cpu.glob("cpuidle/state[0-9]*"):
        latency_us = parse_int(read_text(path / "latency"), 0, 1 << 32)
        if latency_us is not None and read_text(path / "disable") == "0":
            found.append(IdleState(read_text(path / "name") or path.name, latency_us))
    return found


def _latency_limit_us(request: Path) -> int | None:
    """What the kernel keeps to for all who asked. Reading asks for nothing."""
    try:
        descriptor = os.open(request, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        raw = os.read(descriptor, 4)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return max(0, struct.unpack("=i", raw)[0]) if len(raw) == 4 else None


def check_governor(processor: Processor) -> Check:
    """`ok` where every core keeps its highest rate, `warn` where one may slow down."""
    evidence: Evidence = {
        "driver": processor.frequency_driver,
        "governors": [f"{name}: {count} cores" for name, count in processor.governors.items()],
        "turbo": processor.turbo,
    }
    if not processor.governors:
        summary = "its clock rate is not set by this kernel"
        return _check("cpu.governor", Verdict.NOT_APPLICABLE, summary, evidence)
    slow = sorted(name for name in processor.governors if name != "performance")
    if not slow:
        return _check("cpu.governor", Verdict.OK, "every core keeps its highest rate", evidence)
    summary = f"cores slow down while little happens ({', '.join(slow)})"
    remedy = "`cpupower frequency-set -g performance`"
    return _check("cpu.governor", Verdict.WARN, summary, evidence, remedy)


def check_idle(processor: Processor) -> Check:
    """`ok` where waking takes no longer than `DEEP_SLEEP_US`, `warn` where it may."""
    limit_us = processor.latency_limit_us
    allowed = [
        state
        for state in processor.idle_states
        if limit_us is None or state.exit_latency_us <= limit_us
    ]
    evidence: Evidence = {
        "driver": processor.idle_driver,
        "states": [f"{state.name}: {state.exit_latency_us} us" for state in processor.idle_states],
        "latency_limit_us": limit_us,
    }
    if not processor.idle_states:
        summary = "its sleep is not chosen by this kernel"
        return _check("cpu.idle", Verdict.NOT_APPLICABLE, summary, evidence)
    deepest = max(allowed, key=lambda state: state.exit_latency_us, default=None)
    if deepest is None or deepest.exit_latency_us < DEEP_SLEEP_US:
        wakes_us = deepest.exit_latency_us if deepest else 0
        summary = f"wakes within {wakes_us} us"
        return _check("cpu.idle", Verdict.OK, summary, evidence)
    summary = f"may sleep so deeply ({deepest.name}) that waking takes {deepest.exit_latency_us} us"
    remedy = f"`cpupower idle-set -D {DEEP_SLEEP_US}`"
    return _check("cpu.idle", Verdict.WARN, summary, evidence, remedy)


def check_isolation(processor: Processor) -> Check:
    """`ok` where cores are kept for capturing, `warn` where other programs may take any."""
    evidence: Evidence = {
        "online": len(processor.online),
        "isolated": [str(core) for core in processor.isolated],
    }
    if processor.isolated:
        summary = f"{len(processor.isolated)} of {len(processor.online)} cores are kept free"
        return _check("cpu.isolation", Verdict.OK, summary, evidence)
    if not processor.online:
        remedy = "see that /sys is mounted"
        summary = "does not tell its cores"
        return _check("cpu.isolation", Verdict.UNKNOWN, summary, evidence, remedy)
    if len(processor.online) < ENOUGH_TO_ISOLATE:
        summary = f"with {len(processor.online)} cores, none can be kept free for capturing"
        return _check("cpu.isolation", Verdict.NOT_APPLICABLE, summary, evidence)
    last = processor.online[-1]
    remedy = f"boot with `isolcpus={last - 1},{last}`, or pin the capture: `--cpu {last}`"
    summary = "other programs may run on the core that captures"
    return _check("cpu.isolation", Verdict.WARN, summary, evidence, remedy)


def _check(
    id_: str, verdict: Verdict, summary: str, evidence: Evidence, remedy: str | None = None
) -> Check:
    return Check(id_, MACHINE, verdict, summary, evidence, remedy)
