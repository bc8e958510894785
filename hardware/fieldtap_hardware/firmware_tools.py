"""The programs that write firmware, as one table: how each is called, and what its words mean.

Command lines are those of the tools' documentation: devlink-dev(8), fwupdmgr(1), mstflint's manual,
sfupdate as in its users' guide (SF-103837), nvmupdate64e as in Intel's readme (705831). Of these,
devlink alone was run against a device (netdevsim); the others await an adapter.
"""

import re

from msgspec import Struct


class FirmwareTool(Struct, frozen=True, kw_only=True):
    """How one program writes an image.

    Words of commands may hold {port}, {mac}, {handle} (devlink's name of the adapter), {address}
    (on its bus), {device} (fwupd's id), {image}, {folder} (of an unpacked image) and {backup}.
    """

    write: tuple[str, ...]
    component: tuple[str, ...] = ()  # added where a part of the firmware is to be written
    not_newer: tuple[str, ...] = ()  # added where the image is not newer than what runs
    backup: tuple[str, ...] = ()  # saves what is stored; empty where the tool cannot
    activate: tuple[str, ...] = ()  # makes what is stored run; empty: a power cycle does
    began: str  # printed once the flash was touched, so that a failure is no mere refusal
    drivers: tuple[str, ...]  # how names of drivers begin; none: a device without a port
    kernel_loads: bool = False  # from below /lib/firmware, by the name {image}
    unpacks: bool = False  # the image is a tar; what it holds lies in {folder}
    stored_by: str | None = None  # the channel that tells what is stored, before it runs

    def has_begun(self, words: str) -> bool:
        return re.search(self.began, words) is not None


UNATTENDED = ("--assume-yes", "--no-reboot-check")
NVMUPDATE = ("nvmupdate64e", "-u", "-m", "{mac}", "-b", "-s", "-l", "-a", "{folder}")

TOOLS: dict[str, FirmwareTool] = {
    "devlink": FirmwareTool(
        write=("devlink", "dev", "flash", "{handle}", "file", "{image}"),
        component=("component", "{component}"),
        activate=("devlink", "dev", "reload", "{handle}", "action", "fw_activate"),
        began=r"(?i)\b(?:flashing|erasing|writing|flash select)",
        drivers=("bnxt_en", "ice", "ionic", "mlx5", "netdevsim", "nfp", "qed", "sfc"),
        kernel_loads=True,
        stored_by="devlink",
    ),
    "fwupdmgr": FirmwareTool(
        write=("fwupdmgr", "local-install", "{image}", "{device}", *UNATTENDED),
        not_newer=("--allow-older", "--allow-reinstall"),
        began=r"(?i)\b(?:erasing|writing|restarting|verifying)",
        drivers=(),
    ),
    "mstflint": FirmwareTool(
        write=("mstflint", "-d", "{address}", "-i", "{image}", "-y", "burn"),
        backup=("mstflint", "-d", "{address}", "ri", "{backup}"),
        activate=("mstfwreset", "-d", "{address}", "-y", "reset"),
        began=r"(?i)\b(?:burning|erasing|writing)",
        drivers=("mlx4", "mlx5"),
        stored_by="mstfwmanager",
    ),
    "nvmupdate64e": FirmwareTool(
        write=(*NVMUPDATE, "-c", "nvmupdate.cfg"),
        not_newer=("-f",),
        began=r"(?i)\b(?:updating|update in progress|writing|flash)",
        drivers=("e1000e", "i40e", "ice", "igb", "igc", "ixgbe"),
        unpacks=True,
    ),
    "sfupdate": FirmwareTool(
        write=("sfupdate", "--adapter={port}", "--image={image}", "--write", "--yes"),
        not_newer=("--force",),
        began=r"(?i)\b(?:erasing|writing)",
        drivers=("sfc", "xilinx_efct"),
        stored_by="sfupdate",
    ),
}
