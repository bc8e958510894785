"""The command layer for generators: what to send, what to know before, start and result."""

from dataclasses import dataclass
from pathlib import Path

from fieldtap_core import reports
from fieldtap_core.errors import EngineError
from fieldtap_core.messages import GenerateStatus, Status
from fieldtap_core.programs import find_program
from fieldtap_core.reports import GenerateReport
from fieldtap_core.start import Started, start

from fieldtap import arming, machine
from fieldtap.arming import Arming

TOP_SPEED = "max"


@dataclass(frozen=True)
class Order:
    """A generator run as ft-generate's options have it; `receive` may be empty."""

    port: str
    receive: str
    size: str
    rate: str
    seconds: str

    def options(self) -> list[str]:
        """The options of ft-generate."""
        options = ["-o", self.port, "--size", self.size, "--rate", self.rate]
        options += ["--duration", self.seconds]
        return [*options, "-r", self.receive] if self.receive else options


def to_arm(order: Order) -> Arming:
    """Put `order` in words. Raises `CommandError` where there is no such port."""
    port = machine.ports([order.port])[0]
    peer = "not asked: no port receives"
    if order.receive == order.port:
        peer = f"a reflector, as {order.port} also receives"
    elif order.receive:
        peer = f"what lies between {order.port} and {order.receive}"
    return Arming(
        port=order.port,
        link=arming.link_of(port),
        load=f"frames of {order.size} bytes, rate {order.rate}",
        duration=f"{order.seconds} s",
        peer=peer,
        warnings=arming.warnings_of(
            port, is_top_speed=order.rate == TOP_SPEED, is_counted=bool(order.receive)
        ),
    )


def start_generator(name: str, order: Order) -> Started:
    """Start ft-generate as `name`; it outlives us. Raises `EngineError`."""
    return start(find_program("ft-generate"), name, order.options())


def report_of(status: Status) -> GenerateReport | None:
    """Return the report of the finished generator that gave `status`; None where it left none."""
    if not isinstance(status, GenerateStatus) or status.report is None:
        return None
    try:
        report = reports.read_generate_report(Path(status.report))
    except EngineError:
        return None
    return report if report.started_ns == status.started_ns else None  # else of an earlier run
