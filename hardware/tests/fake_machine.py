"""A machine with the fake adapter, on which the real flow runs; killed where that is asked for.

As a program it runs one update, or resumes one, and prints the report:

    fake_machine.py FOLDER update|resume [STEP EVENT WHEN]

With STEP, EVENT and WHEN it kills itself, with SIGKILL, before or after that entry of the journal
is put down. Everything but ports, engines and power is real.
"""

import os
import signal
import sys
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import fake_adapter
import msgspec
from fieldtap_hardware.ethtool import Timestamping
from fieldtap_hardware.firmware_images import find_image
from fieldtap_hardware.firmware_plan import Machine, make_plan
from fieldtap_hardware.firmware_update import resume, update
from fieldtap_hardware.journal import Event, Journal
from fieldtap_hardware.ports import Port
from fieldtap_hardware.writing import Patience
from msgspec.structs import replace
from sample_ports import ADAPTER, PORT

DEVICE_ID = "1924:0903"


def port(adapter: Path) -> Port:
    """The adapter's port, as the driver would show it now."""
    state = fake_adapter.read(adapter)
    has_clock = state.get("clock_after" if state["writes"] else "clock", state.get("clock", True))
    return replace(
        PORT,
        name=fake_adapter.PORT,
        driver=state["driver"],
        firmware=state["running"],
        pci=(replace(ADAPTER, device_id=state.get("device_id", DEVICE_ID)),),
        mac="00:0f:53:00:00:01",
        up=state["up"],
        timestamping=Timestamping(
            phc_index=0 if has_clock else None,
            adapter_rx=True,
            adapter_rx_all=True,
            adapter_tx=True,
            host_rx=True,
            host_tx=True,
        ),
        addresses=tuple(state.get("addresses", ())),
        default_route=state.get("default_route", False),
    )


def machine(folder: Path) -> Machine:
    """The machine around the adapter in `folder`, on AC, with nothing running."""
    adapter = folder / "adapter.json"

    def switch(_name: str, *, up: bool) -> None:
        fake_adapter.change(adapter, up=up)

    return Machine(
        ports=lambda: [port(adapter)],
        engines=lambda: list(fake_adapter.read(adapter).get("engines", [])),
        switch=switch,
        say=lambda text: print(text, file=sys.stderr, flush=True),
        patience=Patience(still_s=0.2, stuck_s=0.5),
        state=folder / "state",
        firmware_dir=folder / "firmware",
        power=folder / "power",
        packet_sockets=folder / "packet",
        is_root=lambda: True,
    )


def make_folder(folder: Path, tool: str, driver: str, **state: object) -> Path:
    """Make adapter, image and surroundings; return the image."""
    firmware = folder / "firmware"
    fake_adapter.install(folder, driver=driver, firmware_dir=str(firmware), **state)
    firmware.mkdir()
    mains = folder / "power/AC"
    mains.mkdir(parents=True)
    (mains / "type").write_text("Mains\n")
    (mains / "online").write_text("1\n")
    (folder / "packet").write_text("sk RefCnt Type Proto Iface R Rmem User Inode\n")
    image = folder / "images/new.bin"
    image.parent.mkdir()
    image.write_text("2.0.0\n")
    write_manifest(image, tool)
    return image


def write_manifest(image: Path, tool: str, version: str = "2.0.0", device: str = DEVICE_ID) -> None:
    digest = sha256(image.read_bytes()).hexdigest()
    (image.parent / "firmware.toml").write_text(
        f'[[image]]\nfile = "{image.name}"\nversion = "{version}"\ntool = "{tool}"\n'
        f'devices = ["{device}"]\nsha256 = "{digest}"\n'
    )


def kill_at(step: str, event: str, when: str) -> None:
    """Let this process die at an entry of the journal."""
    append = Journal.append

    def append_or_die(
        self: Journal, at: str, what: Event, data: Mapping[str, object] | None = None
    ) -> None:
        due = (at, what) == (step, event)
        if due and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        append(self, at, what, data)
        if due:
            os.kill(os.getpid(), signal.SIGKILL)

    setattr(Journal, "append", append_or_die)  # noqa: B010  no assignment, says mypy


def main(folder: Path, action: str, die: list[str]) -> int:
    if die:
        kill_at(*die)
    os.environ["PATH"] = f"{folder}/bin:{os.environ['PATH']}"
    here = machine(folder)
    if action == "resume":
        report = resume(here)
    else:
        image = find_image(folder / "images/new.bin")
        target = "Controller" if image.tool == "fwupdmgr" else fake_adapter.PORT
        report = update(make_plan(target, image, here), here)
    print(msgspec.json.encode(report).decode())
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:]))
