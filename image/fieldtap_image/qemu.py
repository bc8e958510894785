"""One boot of the image in QEMU, without a screen: a machine, its disks, and two joined ports."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from fieldtap_image.errors import ImageError

FIRMWARE = Path("/usr/share/OVMF")
VARIABLES = "OVMF_VARS_4M.fd"
MEMORY_MIB = 2048
PROCESSORS = 2
DEADLINE_S = 600.0
LAST_LINES = 25
# Given to the shipped boot entry by SMBIOS, which its loader reads, so that the image under test is
# byte for byte the one that is handed out. Emulation is slow: a disk may take minutes to show up.
KERNEL_OPTIONS = "fieldtap.selftest console=ttyS0 loglevel=4 systemd.default_device_timeout_sec=300"


@dataclass(frozen=True)
class Machine:
    """What one boot needs. Nothing writes to `image`."""

    image: Path
    disk: Path
    """The second disk, writable."""
    console_log: Path


def command(machine: Machine, work: Path) -> list[str]:
    """QEMU's command line. `work` holds the firmware's own memory and takes sockets.

    Emulated (tcg), not virtualised: a /dev/kvm that opens is no promise that a guest survives on
    it. The image is a USB stick, as in the field. The two ports are joined by a pair of datagram
    sockets in `work`: unlike a hub, whose queue lets new frames overtake when the receiver is slow,
    that keeps every frame and their order.
    """
    drives = [
        ("if=pflash,unit=0,readonly=on", FIRMWARE / "OVMF_CODE_4M.fd"),
        ("if=pflash,unit=1", work / VARIABLES),
        ("if=none,id=stick,snapshot=on", machine.image),
        ("if=none,id=selftest", machine.disk),
    ]
    words = ["qemu-system-x86_64", "-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max"]
    words += ["-smp", str(PROCESSORS), "-m", str(MEMORY_MIB)]
    words += ["-nodefaults", "-no-user-config", "-no-reboot"]
    words += ["-display", "none", "-vga", "std", "-serial", f"file:{machine.console_log}"]
    for options, file in drives:
        words += ["-drive", f"{options},format=raw,file={_escaped(file)}"]
    words += ["-device", "qemu-xhci", "-device", "usb-storage,drive=stick,bootindex=1"]
    words += ["-device", "virtio-blk-pci,drive=selftest"]
    for number, other in ((1, 2), (2, 1)):
        local, remote = _escaped(work / f"port{number}"), _escaped(work / f"port{other}")
        ends = f"local.type=unix,local.path={local},remote.type=unix,remote.path={remote}"
        words += ["-netdev", f"dgram,id=port{number},{ends}"]
        card = f"virtio-net-pci,netdev=port{number},mac=52:54:00:00:00:0{number},romfile="
        words += ["-device", card]
    words += ["-smbios", f"type=11,value=io.systemd.boot.kernel-cmdline-extra={KERNEL_OPTIONS}"]
    return words


def _escaped(path: Path) -> str:
    return os.fspath(path).replace(",", ",,")


def boot(machine: Machine) -> None:
    """Boot until the guest powers off; ImageError with its last words when it does not."""
    machine.console_log.unlink(missing_ok=True)
    try:
        # A short path: the name of a socket may not be longer than about a hundred bytes.
        with tempfile.TemporaryDirectory() as work:
            shutil.copyfile(FIRMWARE / VARIABLES, Path(work, VARIABLES))
            result = subprocess.run(
                command(machine, Path(work)),
                capture_output=True,
                text=True,
                timeout=DEADLINE_S,
                check=False,
            )
    except FileNotFoundError as error:
        raise ImageError(f"{error.filename}: not installed", hint="setup/system image") from error
    except subprocess.TimeoutExpired as error:
        raise ImageError(
            f"the guest did not power off in {DEADLINE_S:.0f} s; its console's last lines:\n"
            + last_lines(machine.console_log),
            hint=f"all of it is in {machine.console_log}",
        ) from error
    if result.returncode != 0:
        raise ImageError(f"qemu: exit code {result.returncode}: {result.stderr.strip()}")


def last_lines(console_log: Path) -> str:
    """The end of the console log, indented."""
    if not console_log.exists():
        return "  | (nothing)"
    lines = console_log.read_text(errors="replace").splitlines()
    return "\n".join(f"  | {line}" for line in lines[-LAST_LINES:])
