"""What a report says of the machine that tested."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

from fieldtap_core.errors import EngineError
from fieldtap_core.programs import find_program
from fieldtap_hardware.sysfs import read_text

from fieldtap.linktest.results import Host, Versions
from fieldtap.linktest.settings import Search

CPU = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
CLOCK_SOURCE = Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")
CPUINFO = Path("/proc/cpuinfo")


def host() -> Host:
    """Describe this machine."""
    return Host(
        name=platform.node(),
        processor=_processor(),
        processors=os.cpu_count() or 1,
        governor=read_text(CPU),
        clock_source=read_text(CLOCK_SOURCE),
    )


def versions(search: Search | None) -> Versions:
    """Say what tests here. Raises `EngineError` where the engine is not installed."""
    library: str | None = None
    if search == "mlr":
        from fieldtap.linktest import mlr

        library = mlr.library_version()
    return Versions(
        fieldtap=version("fieldtap"),
        engine=_engine(),
        kernel=platform.release(),
        python=platform.python_version(),
        search=library,
    )


def _processor() -> str | None:
    for line in (read_text(CPUINFO) or "").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return None


def _engine() -> str:
    """The engine's own word, such as "ft-generate 0.1.0"."""
    program = find_program("ft-generate")
    try:
        said = subprocess.run(
            [program, "--version"], capture_output=True, text=True, check=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise EngineError(f"{program} --version: {error}") from None
    return said.stdout.strip()
