"""The command layer for adapters: recorded outputs, firmware, licences."""

import sys
from pathlib import Path

from fieldtap_hardware.adapters import identify, read_catalogue
from fieldtap_hardware.explain import MAX_BYTES, TOOLS, Explanation, explain
from fieldtap_hardware.firmware import Firmware, check_firmware, read_firmware
from fieldtap_hardware.licenses import License, check_license, read_licenses
from fieldtap_hardware.verdicts import Check

from fieldtap import machine
from fieldtap.failures import BAD_USAGE, CommandError


def explain_recording(tool: str, file: str) -> Explanation:
    """Read FILE ("-" is stdin), an output of TOOL. Raises `CommandError` where it cannot."""
    if tool not in TOOLS:
        known = ", ".join(TOOLS)
        raise CommandError(f"no output of {tool!r} is known; TOOL is one of: {known}", BAD_USAGE)
    limit = MAX_BYTES + 1  # one more, so that too much is seen as such
    try:
        if file == "-":
            return explain(tool, sys.stdin.buffer.read(limit))
        with Path(file).open("rb") as opened:
            return explain(tool, opened.read(limit))
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}") from error
    except ValueError as error:
        raise CommandError(f"{file!r} is no name of a file") from error


def firmware() -> list[tuple[Firmware, Check]]:
    """Read and judge the firmware of every real port and of Thunderbolt controllers."""
    ports = {port.name: port for port in machine.ports()}
    families = read_catalogue().families
    judged = []
    for found in read_firmware(list(ports.values())):
        port = ports.get(found.subject)
        identity = identify(port, families) if port else None
        judged.append((found, check_firmware(found, identity.family if identity else None)))
    return judged


def licenses() -> list[tuple[License, Check]]:
    """Read and judge the licences of every adapter that takes some."""
    return [(found, check_license(found)) for found in read_licenses(machine.ports())]
