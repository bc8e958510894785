"""Which cores serve a port's interrupts, and are they the right ones?"""

from pathlib import Path

from msgspec import Struct

from fieldtap_hardware.ports import Port
from fieldtap_hardware.processor import Processor, parse_cpu_list
from fieldtap_hardware.sysfs import parse_int, read_text
from fieldtap_hardware.verdicts import Check, Evidence, Verdict

NET = Path("/sys/class/net")
PROC_IRQ = Path("/proc/irq")
MAX_INTERRUPTS = 4096
TOLD = 32  # interrupts in the evidence


class Interrupt(Struct, frozen=True):
    """One interrupt and the cores that may serve it."""

    number: int
    cpus: tuple[int, ...]


class Interrupts(Struct, frozen=True):
    """Those of one port, and the cores near its adapter (empty: not known, or all)."""

    lines: tuple[Interrupt, ...]
    local_cpus: tuple[int, ...]


def read_interrupts(port: Port, net: Path = NET, proc_irq: Path = PROC_IRQ) -> Interrupts:
    """The interrupts of the port's device; those of a virtio port are its PCI function's.

    Above a PCI function is a bridge, whose interrupts are about the bus and not about frames.
    """
    device = net / port.name / "device"
    for place in (device,) if port.bus == "pci" else (device, device.resolve().parent):
        numbers = sorted(
            number
            for path in place.glob("msi_irqs/*")
            if (number := parse_int(path.name, 0, 1 << 31)) is not None
        )
        if numbers:
            lines = tuple(_read_line(number, proc_irq) for number in numbers[:MAX_INTERRUPTS])
            return Interrupts(lines, parse_cpu_list(read_text(place / "local_cpulist")))
    return Interrupts((), ())


def _read_line(number: int, proc_irq: Path) -> Interrupt:
    """Where it is served, or else where it may be: not every controller tells."""
    folder = proc_irq / str(number)
    effective = parse_cpu_list(read_text(folder / "effective_affinity_list"))
    return Interrupt(number, effective or parse_cpu_list(read_text(folder / "smp_affinity_list")))


def check_interrupts(port: Port, interrupts: Interrupts, processor: Processor) -> Check:
    """`warn` where interrupts are served far from the adapter, or all by one core."""
    lines = [line for line in interrupts.lines if line.cpus]
    evidence: Evidence = {
        "numa_node": port.numa_node,
        "local_cpus": [str(cpu) for cpu in interrupts.local_cpus],
        "interrupts": [f"{line.number}: {','.join(map(str, line.cpus))}" for line in lines[:TOLD]],
    }
    if port.virtual:
        summary = "is virtual and has no interrupts"
        return _check(port, Verdict.NOT_APPLICABLE, summary, evidence)
    if not lines:
        summary = "does not tell which cores serve its interrupts"
        remedy = f"see /proc/interrupts for the lines of {port.name}"
        return _check(port, Verdict.UNKNOWN, summary, evidence, remedy)
    local = set(interrupts.local_cpus) & set(processor.online)
    far = [line.number for line in lines if local and not local & set(line.cpus)]
    if far:
        near = ",".join(map(str, sorted(local)))
        summary = f"{len(far)} of {len(lines)} interrupts are served on another NUMA node"
        remedy = f"`echo {near} > /proc/irq/{far[0]}/smp_affinity_list`, and so for each of them"
        return _check(port, Verdict.WARN, summary, evidence, remedy)
    served = {cpu for line in lines for cpu in line.cpus}
    if len(lines) > 1 and port.rx_queues > 1 and len(served) == 1 and len(processor.online) > 1:
        summary = f"one core, {min(served)}, serves all {len(lines)} interrupts"
        remedy = (
            "spread them: `systemctl start irqbalance`, or write a core of its own to each "
            "/proc/irq/N/smp_affinity_list"
        )
        return _check(port, Verdict.WARN, summary, evidence, remedy)
    where = " near the adapter" if local else ""
    summary = f"its interrupts ({len(lines)}) are served by {len(served)} cores{where}"
    return _check(port, Verdict.OK, summary, evidence)


def _check(
    port: Port, verdict: Verdict, summary: str, evidence: Evidence, remedy: str | None = None
) -> Check:
    return Check("cpu.irq", port.name, verdict, summary, evidence, remedy)
