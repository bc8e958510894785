"""The adapter clock of an emulated e1000e, read in a guest by the very functions that judge it.

QEMU 7.2's registers a clock that never moves while its driver promises every stamp. A later QEMU
may have one that moves: the verdict follows what was measured. Needs QEMU and the kernel that
`make image` leaves in its cache. The boot takes some ten seconds, so its outcome is kept in that
cache and asked for anew when anything that it rests on has changed.
"""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from campaigns.guest import (
    archive,
    base_command,
    image_cache,
    libraries,
    modules_of_image,
    newest,
    running_guest,
)
from fieldlab import CHECKOUT, LabError, tool

PYTHON = Path(sys.executable).resolve()
INIT = f"""#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
exec </dev/console >/dev/console 2>&1
for module in /modules/*.ko; do /bin/busybox insmod "$module"; done
until [ -e /dev/ptp0 ]; do /bin/busybox sleep 0.1; done
{PYTHON} -S -E /probe.py || echo FAILED
/bin/busybox sleep 1000
"""
PROBE = """
import msgspec
from fieldtap_hardware.clock_checks import check_phc
from fieldtap_hardware.clock_sources import read_phc
from fieldtap_hardware.clock_state import ClockState
phc = read_phc(0)
outcome = {"phc": phc, "check": check_phc(phc, ClockState(), 37)}
print("CLOCK " + msgspec.json.encode(outcome).decode())
"""
LOADED = """
import encodings.ascii, sys
import fieldtap_hardware.clock_checks, msgspec
files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
print("\\n".join(file for file in files if file))
"""


def python_files() -> list[Path]:
    """Return what the probe imports, the standard library's own included."""
    command = [sys.executable, "-c", LOADED]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return sorted({Path(line) for line in done.stdout.splitlines()})


def make_initrd(path: Path) -> Path:
    """Write an initial RAM disk with Python, the checks and the driver of an e1000e."""
    busybox = shutil.which("busybox")
    if busybox is None:
        raise LabError("busybox is not installed: setup/system test")
    files = python_files()
    where = [str(CHECKOUT / "hardware"), *(word for word in sys.path if "site-packages" in word)]
    probe = f"import sys\nsys.path[:0] = {where!r}\n{PROBE}"
    entries = [("init", 0o755, INIT.encode()), ("probe.py", 0o644, probe.encode())]
    entries.append(("bin/busybox", 0o755, Path(busybox).read_bytes()))
    needed = {str(PYTHON)} | libraries(str(PYTHON))
    for file in files:
        if ".so" in file.suffixes:
            needed |= libraries(str(file))
    for name in sorted(needed | set(map(str, files))):
        entries.append((name.lstrip("/"), 0o755, Path(name).read_bytes()))
    for number, (name, data) in enumerate(modules_of_image(("e1000e",))):
        entries.append((f"modules/{number:02}-{name}.ko", 0o644, data))
    path.write_bytes(archive(entries))
    return path


def digest() -> str:
    """Return a hash of all that the outcome rests on."""
    version = subprocess.run(
        [tool("qemu-system-x86_64"), "--version"], capture_output=True, check=True
    ).stdout
    ours = [file for file in python_files() if "fieldtap_hardware" in file.parts]
    files = [Path(__file__), newest("initrd", "vmlinuz"), *ours]
    total = hashlib.sha256(version)
    for file in files:
        total.update(file.read_bytes())
    return total.hexdigest()[:32]


def boot(folder: Path) -> str:
    """Boot a guest with an e1000e; return what the probe printed."""
    command = base_command(make_initrd(folder / "initrd"), "clock", processors=1)
    command += ["-netdev", "hubport,id=net,hubid=0", "-device", "e1000e,netdev=net"]
    with running_guest(command) as guest:
        return guest.wait_for("CLOCK").removeprefix("CLOCK ")


@pytest.mark.root
def test_the_verdict_on_the_clock_of_an_emulated_adapter_is_what_was_measured(
    tmp_path: Path,
) -> None:
    kept = image_cache() / "clock-test" / digest()
    if not kept.exists():
        answer = boot(tmp_path)
        kept.parent.mkdir(exist_ok=True)
        for old in kept.parent.iterdir():
            old.unlink()
        (tmp_path / "answer").write_text(answer)
        shutil.move(tmp_path / "answer", kept)
    outcome = json.loads(kept.read_text())
    reading, check = outcome["phc"]["reading"], outcome["check"]
    assert reading["elapsed_ns"] > 0
    still = reading["advanced_ns"] == 0
    assert (check["verdict"] == "fail") == still
    assert not still or check["remedy"]
