"""Runs in the guest: firmware updates of a netdevsim adapter by the real devlink.

It prints one line, "RESULT " and JSON: what each scenario came to. The judging is the host's.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT / "hardware/tests"))

import fake_machine  # noqa: E402  of it only what kills the flow, and the manifest
from fieldtap_hardware.firmware_images import ImageError, find_image  # noqa: E402
from fieldtap_hardware.firmware_plan import Machine, UpdateError, make_plan  # noqa: E402
from fieldtap_hardware.firmware_steps import STEPS  # noqa: E402
from fieldtap_hardware.firmware_update import resume, update  # noqa: E402
from fieldtap_hardware.ports import read_ports  # noqa: E402

VERSION = "10.20.30"  # netdevsim's, before and after: it tells no other
HANDLE = "netdevsim/netdevsim1"
DEBUGFS = Path("/sys/kernel/debug/netdevsim/netdevsim1")
IMAGES = Path("/run/images")
STATE = Path("/var/lib/fieldtap/firmware")
FIRMWARE = Path("/lib/firmware")
WAIT_S = 120


def say(text: str) -> None:
    print(f"  {text}", flush=True)


def machine(firmware_dir: Path = FIRMWARE) -> Machine:
    return Machine(say=say, state=STATE, firmware_dir=firmware_dir)


def make_image(component: str | None = None) -> Path:
    image = IMAGES / "new.bin"
    IMAGES.mkdir(exist_ok=True)
    image.write_bytes(b"firmware" * 512)
    fake_machine.write_manifest(image, "devlink", VERSION, "netdevsim")
    if component:
        manifest = IMAGES / "firmware.toml"
        manifest.write_text(manifest.read_text() + f'component = "{component}"\n')
    return image


def flash_slowly(*, slow: bool) -> None:
    (DEBUGFS / "fw_update_status").write_text("Y" if slow else "N")


def port() -> str:
    return next(port.name for port in read_ports() if port.driver == "netdevsim")


def in_child(act: Callable[[], object]) -> dict[str, Any]:
    """Run the flow in a process of its own; what it returned, or which signal ended it."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(writing, msgspec.json.encode(act()))
            os._exit(0)
        except (UpdateError, ImageError) as error:
            os.write(writing, json.dumps({"error": str(error)}).encode())
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read()
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return {"signal": os.WTERMSIG(status)}
    report = json.loads(told)
    return {key: report.get(key) for key in ("outcome", "summary", "error", "confirmed_by")}


def do_update(image: Path, firmware_dir: Path = FIRMWARE) -> object:
    here = machine(firmware_dir)
    plan = make_plan(port(), find_image(image), here)
    return update(plan, here, not_newer=VERSION, accepted=("power", "adapter"))


def do_resume() -> object:
    return resume(machine())


def die_at(step: str, event: str, when: str) -> object:
    fake_machine.kill_at(step, event, when)
    return do_update(IMAGES / "new.bin")


def left() -> dict[str, Any]:
    """What a run left: the device, the ports, the journal and copies of the image."""
    info = subprocess.run(["devlink", "-j", "dev", "info"], capture_output=True, check=True)
    journals = sorted(STATE.glob("*/journal.jsonl"), key=lambda path: path.stat().st_mtime_ns)
    lines = journals[-1].read_text().splitlines() if journals else []
    return {
        "versions": json.loads(info.stdout)["info"][HANDLE]["versions"],
        "up": [port.up for port in read_ports() if port.driver == "netdevsim"],
        "open": (STATE / "open").exists(),
        "copies": [str(path) for path in FIRMWARE.glob("fieldtap-*")],
        "journal": [[entry["step"], entry["event"]] for entry in map(json.loads, lines)],
    }


def command(*words: str) -> dict[str, Any]:
    """One call of the command line."""
    program = CHECKOUT / "build/venv/bin/fieldtap"
    done = subprocess.run([program, *words], capture_output=True, text=True, check=False)
    report = json.loads(done.stdout) if done.stdout else {}
    return {"exit_code": done.returncode, "report": report, "errors": done.stderr[-2000:]}


def fresh() -> None:
    shutil.rmtree(STATE, ignore_errors=True)
    make_image()
    subprocess.run(["ip", "link", "set", "dev", port(), "up"], check=True)


def by_command_line() -> dict[str, Any]:
    """Read, plan, and write, as an operator would."""
    fresh()
    flash_slowly(slow=True)
    image = ["firmware", "update", port(), "--image", str(IMAGES / "new.bin"), "--json"]
    asked = ["--not-newer", VERSION, "--accept", "power", "--accept", "adapter"]
    return {
        "read": command("firmware", "--json"),
        "refused": command(*image),
        "planned": command(*image, *asked),
        "unconfirmed": command(*image, *asked, "--write", "--confirm", "eth0"),
        "written": command(*image, *asked, "--write", "--confirm", "netdevsim1"),
        "left": left(),
    }


def bad_images() -> dict[str, Any]:
    """An image that was changed, one that the kernel does not find, one for another part."""
    flash_slowly(slow=False)
    found = {}
    fresh()
    (IMAGES / "new.bin").write_bytes(b"changed")
    found["changed"] = in_child(lambda: do_update(IMAGES / "new.bin")) | {"left": left()}
    fresh()
    elsewhere = Path("/run/elsewhere")
    elsewhere.mkdir(exist_ok=True)
    found["not found"] = in_child(lambda: do_update(IMAGES / "new.bin", elsewhere))
    found["not found"]["left"] = left()
    fresh()
    make_image(component="fw.undi")
    found["component"] = in_child(lambda: do_update(IMAGES / "new.bin")) | {"left": left()}
    return found


def wait_for_flash() -> int:
    """Wait until devlink shows its progress; return the session of the writer."""
    deadline = time.monotonic() + WAIT_S
    log, journal = STATE / "open/write.log", STATE / "open/journal.jsonl"
    while time.monotonic() < deadline:
        if log.exists() and b"Flashing" in log.read_bytes():
            entry = json.loads(journal.read_text().splitlines()[-1])
            return int(entry["data"]["writer"]["session"])
        time.sleep(0.02)
    raise TimeoutError("devlink never began to flash")


def interrupted(*, flow: bool) -> dict[str, Any]:
    """Kill the flow, or devlink itself, while the adapter is written to."""
    fresh()
    flash_slowly(slow=True)
    pid = os.fork()
    if pid == 0:
        report = do_update(IMAGES / "new.bin")
        Path("/run/first.json").write_bytes(msgspec.json.encode(report))
        os._exit(0)
    session = wait_for_flash()
    if flow:
        os.kill(pid, signal.SIGKILL)
    else:
        os.killpg(session, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    first = {} if flow else json.loads(Path("/run/first.json").read_text())
    return {
        "killed": os.WIFSIGNALED(status),
        "first": first.get("outcome"),
        "second": in_child(do_resume),
        "left": left(),
    }


def killed_in_each_step() -> dict[str, Any]:
    flash_slowly(slow=False)
    found = {}
    for step in ("plan", *STEPS, "finish"):
        for event, when in (("begin", "after"), ("end", "before")):
            fresh()
            first = in_child(lambda at=(step, event, when): die_at(*at))  # type: ignore[misc]
            second = in_child(do_resume)
            found[f"{step} {event}"] = {"first": first, "second": second, "left": left()}
            say(f"killed at {step} {event}: {second}")
    return found


def main() -> None:
    Path("/sys/bus/netdevsim/new_device").write_text("1 1")
    deadline = time.monotonic() + WAIT_S
    while not any(port.driver == "netdevsim" for port in read_ports()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    result = {
        "kernel": os.uname().release,
        "command line": by_command_line(),
        "bad images": bad_images(),
        "flow killed": interrupted(flow=True),
        "devlink killed": interrupted(flow=False),
        "steps": killed_in_each_step(),
    }
    print(f"RESULT {json.dumps(result)}", flush=True)


if __name__ == "__main__":
    main()
