"""The command layer for the machine: its ports and what to think of it."""

from collections.abc import Sequence
from pathlib import Path

from fieldtap_core.errors import EngineError
from fieldtap_core.programs import INSTALLED_DIR, find_program
from fieldtap_hardware.adapter_checks import check_catalogue_file
from fieldtap_hardware.checks import run_checks
from fieldtap_hardware.ports import Port, read_ports
from fieldtap_hardware.verdicts import Report, report_of

from fieldtap.failures import BAD_USAGE, CommandError

APPLIANCE_CAPTURES = Path("/var/lib/fieldtap/captures")


def ports(names: Sequence[str] = ()) -> list[Port]:
    """Return the ports called `names`, or all but loopback. Raises `CommandError`."""
    found = {port.name: port for port in read_ports()}
    unknown = [name for name in names if name not in found]
    if unknown:
        there = ", ".join(found) or "none"
        raise CommandError(f"no port is called {unknown[0]!r}; there are: {there}", BAD_USAGE)
    return [found[name] for name in names] if names else list(found.values())


def worth_checking(found: Sequence[Port]) -> list[Port]:
    """Leave out virtual ports that are down: the kernel keeps some that nobody asked for."""
    return [port for port in found if port.up or not port.virtual]


def capture_dir() -> Path:
    """Return where captures go by default: the appliance's folder where there is one."""
    return APPLIANCE_CAPTURES if APPLIANCE_CAPTURES.is_dir() else Path.cwd()


def check(names: Sequence[str], directory: Path | None) -> Report:
    """Judge the ports called `names` (none: all but idle virtual ones), disk and engine."""
    programs = [_program(name) for name in ("ft-capture", "ft-generate", "ft-reflect")]
    chosen = ports(names) if names else worth_checking(ports())
    return run_checks(chosen, directory or capture_dir(), programs)


def check_catalogue(files: Sequence[Path]) -> Report:
    """Say of each catalogue file whether it can be used."""
    return report_of([check_catalogue_file(file) for file in files])


def _program(name: str) -> Path:
    try:
        return find_program(name)
    except EngineError:
        return INSTALLED_DIR / name  # the check says that it is not there
