"""Can this user run a program of the engine, and will it be allowed to capture?"""

import os
import struct
from pathlib import Path

from msgspec import Struct

from fieldtap_hardware.sysfs import parse_int, read_text
from fieldtap_hardware.verdicts import Check, Evidence, Verdict

# Numbers of <linux/capability.h>: packet sockets, and switching off GRO and LRO.
NEEDED = {"cap_net_admin": 12, "cap_net_raw": 13}

# Revision of a security.capability attribute: its size in bytes.
ATTRIBUTE_BYTES = {1: 12, 2: 20, 3: 24}


class Program(Struct, frozen=True):
    """A program as this user would start it."""

    exists: bool
    executable: bool
    file_capabilities: int  # bit mask that takes effect when it starts
    own_capabilities: int  # bit mask that it inherits from this process

    def missing(self) -> list[str]:
        held = self.file_capabilities | self.own_capabilities
        return [name for name, bit in NEEDED.items() if not held >> bit & 1]


def read_program(path: Path) -> Program:
    """Look at the file and at this process; nothing is started."""
    try:
        attribute = os.getxattr(path, "security.capability")
    except OSError:
        attribute = b""
    # Root passes its capabilities on when it starts a program, others only the ambient ones.
    inherited = "CapEff" if os.geteuid() == 0 else "CapAmb"
    return Program(
        exists=path.exists(),
        executable=os.access(path, os.X_OK),
        file_capabilities=parse_file_capabilities(attribute),
        own_capabilities=parse_status(read_text(Path("/proc/self/status")), inherited),
    )


def parse_file_capabilities(attribute: bytes) -> int:
    """The permitted set of a vfs_cap_data that is raised at start; 0 for any other bytes."""
    if len(attribute) < 4:
        return 0
    (magic,) = struct.unpack_from("<I", attribute)
    revision, effective = magic >> 24, magic & 1
    if not effective or len(attribute) != ATTRIBUTE_BYTES.get(revision):
        return 0
    if revision == 1:
        return int.from_bytes(attribute[4:8], "little")
    low, high = struct.unpack_from("<I4xI", attribute, 4)
    return int(low | high << 32)


def parse_status(text: str | None, field: str) -> int:
    """The hexadecimal mask of one field of /proc/PID/status; 0 where it is missing."""
    for line in (text or "").split("\n"):
        name, colon, mask = line.partition(":")
        if colon and name == field:
            return parse_int("0x" + mask.strip(), 0, (1 << 64) - 1) or 0
    return 0


def check_program(path: Path, program: Program) -> Check:
    """`ok` where it starts with what it needs to open ports."""
    subject = os.fspath(path)
    evidence: Evidence = {
        "exists": program.exists,
        "executable": program.executable,
        "needed": list(NEEDED),
        "missing": program.missing(),
    }
    if not program.exists:
        summary, remedy = "is not installed", "install Fieldtap again, or run `make build`"
    elif not program.executable:
        summary = "may not be run by this user"
        remedy = "join its group and log in again: `usermod -aG fieldtap USER`"
    elif missing := program.missing():
        summary = f"would start without {' and '.join(missing)}"
        remedy = f"as root: `setcap {','.join(NEEDED)}+ep {path.resolve()}`"
    else:
        summary = "may open ports"
        return Check("engine.capabilities", subject, Verdict.OK, summary, evidence)
    return Check("engine.capabilities", subject, Verdict.FAIL, summary, evidence, remedy)
