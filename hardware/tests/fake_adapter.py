"""A fake adapter and its fake tools: a file that holds what a real one would remember.

`install` puts programs called devlink, sfupdate, mstflint, ... into a folder; each is this file.
What they print follows the real ones; how they fail is chosen by `mode`:

    good          writes, with progress drawn over and over
    refuse        exit code 1 before the flash is touched
    fail          exit code 1 after it was
    silent        exit code 0 and words of success, and nothing is changed
    truncated     exit code 0, its words cut off in the middle of a line
    hang          writes only once a file "go" appears beside the adapter
    reset         writes and runs at once, as an adapter that resets itself
"""

import fcntl
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

CONTROLLER = "1" * 40  # what fwupd calls a Thunderbolt controller
PORT, HANDLE = "eth2", "pci/0000:01:00.0"
TOOLS = [
    "devlink",
    "sfupdate",
    "mstflint",
    "mstfwreset",
    "mstfwmanager",
    "nvmupdate64e",
    "fwupdmgr",
    "sfkey",
]


def install(folder: Path, **state: object) -> Path:
    """Make the adapter in `folder` and its tools in folder/bin; return the adapter's file."""
    adapter = folder / "adapter.json"
    start = {"running": "1.0.0", "stored": "1.0.0", "up": True, "mode": "good", "writes": 0}
    adapter.write_text(json.dumps(start | {"activates": True, "licenses": []} | state))
    programs = folder / "bin"
    programs.mkdir()
    for name in TOOLS:
        program = programs / name
        program.write_text(
            f'#!/bin/sh\nexec "{sys.executable}" "{__file__}" "{adapter}" {name} "$@"\n'
        )
        program.chmod(0o755)
    return adapter


def read(adapter: Path) -> dict[str, Any]:
    return dict(json.loads(adapter.read_text()))


def change(adapter: Path, **values: object) -> None:
    with adapter.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        fresh = adapter.with_suffix(f".{os.getpid()}")
        fresh.write_text(json.dumps(read(adapter) | values))
        fresh.rename(adapter)


def show(words: str) -> None:
    sys.stdout.write(words)
    sys.stdout.flush()


def write(adapter: Path, version: str, words: tuple[str, str]) -> int:
    """Write as the mode says; an image of this fake holds nothing but its version."""
    state = read(adapter)
    mode = state["mode"]
    if mode == "refuse":
        show("Error: failed to locate the requested firmware file.\n")
        return 1
    change(adapter, writes=state["writes"] + 1)
    if mode != "silent":
        change(adapter, stored="half written")
    for percent in (0, 50, 100):
        show(f"\r[{percent:3}%] {words[0]}")
        time.sleep(0.02)
    while mode == "hang" and not (adapter.parent / "go").exists():
        time.sleep(0.02)
    if mode == "fail":
        show("\nError: the flash does not answer\n")
        return 1
    if mode != "silent":
        change(adapter, stored=version)
    if mode == "reset":
        change(adapter, running=version)
    show("\n" + words[1][: 3 if mode == "truncated" else None])
    return 0


def devlink(adapter: Path, words: list[str]) -> int:
    state = read(adapter)
    if words[-2:] == ["dev", "info"]:
        versions = {key: {"fw": state[key]} for key in ("running", "stored")}
        if state.get("parts"):  # as ice: the whole has no version of its own that is stored
            option_rom = f"1.{state['writes']}"
            versions = {
                "running": {"fw.mgmt": state["running"], "fw.undi": "1.0"},
                "stored": {"fw.undi": option_rom},
            }
        known = state["driver"] not in ("i40e", "sfc")  # as in Linux 6.1
        device = {"driver": state["driver"], "versions": versions}
        show(json.dumps({"info": {HANDLE: device} if known else {}}))
        return 0
    if words[:2] == ["dev", "flash"]:
        image = Path(state["firmware_dir"], words[words.index("file") + 1])
        return write(adapter, image.read_text().strip(), ("Flashing", "[fw] Flashing done\n"))
    if words[:2] == ["dev", "reload"] and state["activates"]:
        change(adapter, running=state["stored"], up=False)
        return 0
    show("kernel answers: Operation not supported\n")
    return 1


def sfupdate(adapter: Path, words: list[str]) -> int:
    state = read(adapter)
    show("Solarflare firmware update utility [v8.2.2]\n\n")
    if "--write" not in words:
        show(f"{PORT} - MAC: 00-0F-53-00-00-01\n    Firmware version:   v{state['stored']}\n")
        show("\nThe firmware is up to date\n")
        return 0
    image = next(word for word in words if word.startswith("--image=")).partition("=")[2]
    version = Path(image).read_text().strip()
    return write(adapter, version, ("Writing", f"{PORT}: updated\n"))


def mstflint(adapter: Path, words: list[str]) -> int:
    if "ri" in words:
        Path(words[-1]).write_text(read(adapter)["stored"])
        return 0
    image = Path(words[words.index("-i") + 1])
    return write(adapter, image.read_text().strip(), ("Burning", "Image burn completed\n"))


def mstfwmanager(adapter: Path, _words: list[str]) -> int:
    stored = read(adapter)["stored"]
    show(
        '<Devices><Device pciName="0000:01:00.0" psid="MT_2420110034"><Versions>'
        f'<FW current="{stored}" available="N/A"/></Versions></Device></Devices>\n'
    )
    return 0


def mstfwreset(adapter: Path, _words: list[str]) -> int:
    change(adapter, running=read(adapter)["stored"])
    return 0


def nvmupdate64e(adapter: Path, words: list[str]) -> int:
    if "-u" not in words:
        return 1  # its inventory is not read: the driver tells
    folder = Path(words[words.index("-a") + 1])
    assert (folder / words[words.index("-c") + 1]).exists()
    version = (folder / "version").read_text().strip()
    return write(adapter, version, ("Update in progress", "Update successful\n"))


def fwupdmgr(adapter: Path, words: list[str]) -> int:
    if words[0] == "get-devices":
        told = {"Name": "Controller", "DeviceId": CONTROLLER, "Plugin": "thunderbolt"}
        told["Version"] = read(adapter)["running"]
        show(json.dumps({"Devices": [told]}))
        return 0
    assert words[0] == "local-install"
    assert words[2] == CONTROLLER
    version = Path(words[1]).read_text().strip()
    return write(adapter, version, ("Writing", "Successfully installed\n"))


def sfkey(adapter: Path, words: list[str]) -> int:
    state = read(adapter)
    if "--install" in words:
        key = Path(words[-1]).read_text()
        if state["mode"] == "refuse":
            show(f"Error: key {key.strip()} is not for this adapter\n")
            return 1
        change(adapter, licenses=[*state["licenses"], "PTP"], clock=True)
        show(f"installed key {key.strip()}\n")
        return 0
    show(f"{PORT}:\n" + "".join(f"    Active: {name}\n" for name in state["licenses"] or ["none"]))
    return 0


def main(adapter: Path, name: str, words: list[str]) -> int:
    tools = (devlink, sfupdate, mstflint, mstfwmanager, mstfwreset, nvmupdate64e, fwupdmgr, sfkey)
    return next(tool for tool in tools if tool.__name__ == name)(adapter, words)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:]))
