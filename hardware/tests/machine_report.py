"""Run under `umockdev-run`: take the inventory of the machine it mocks, judge it, print JSON.

machine_report.py RECORDING.toml
"""

import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import msgspec
from fieldtap_hardware.checks import run_checks
from fieldtap_hardware.ports import Kernel, Port, read_ports
from fieldtap_hardware.verdicts import Report
from fieldtap_hardware.watch import Change
from msgspec import Struct
from recorded_driver import RecordedDriver, RecordedMachine, read_machine

SYS_NET = Path("/sys/class/net")


class Judged(Struct, frozen=True):
    """What a machine has, what is thought of it, and the events since it was last looked at."""

    ports: tuple[Port, ...]
    report: Report
    changes: tuple[Change, ...] = ()


def mocked_kernel(machine: RecordedMachine) -> Kernel:
    """A kernel whose /sys is umockdev's and whose drivers are recorded; it has no addresses."""
    return Kernel(
        indexes=lambda: {
            (path.name, int((path / "ifindex").read_text())) for path in SYS_NET.glob("*")
        },
        ask_driver=RecordedDriver(machine.port),
        dump=lambda request: b"",
        sysctl=Path("/nonexistent"),
    )


def judge(machine: RecordedMachine, changes: Iterable[Change] = ()) -> Judged:
    """The machine as it is now."""
    kernel = mocked_kernel(machine)
    ports = read_ports(kernel)
    report = run_checks(ports, Path(tempfile.gettempdir()), kernel=kernel)
    return Judged(tuple(ports), report, tuple(changes))


def main() -> None:
    judged = judge(read_machine(Path(sys.argv[1])))
    sys.stdout.buffer.write(msgspec.json.encode(judged))


if __name__ == "__main__":
    main()
