"""Boot the image and judge what it did: the promises of the appliance, as assertions.

The guest (`provision/roles/selftest`) only tells; this module judges, from the marker line on the
serial console and from the capture that the guest left on the second disk.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fieldtap_image import pcap, progress, qemu, replay_input
from fieldtap_image.cache import Cache, digest, digest_tree
from fieldtap_image.commands import run
from fieldtap_image.errors import ImageError
from fieldtap_image.settings import Settings

MARKER = "FIELDTAP-SELFTEST: "
LABEL = "FTSELFTEST"
DISK_MIB = 128
STEP_NS = 100_000
CODE = ("boot_test.py", "pcap.py", "qemu.py", "replay_input.py")


def boot_test(settings: Settings, *, again: bool) -> None:
    """Boot `settings.image` and judge it; ImageError with every broken promise.

    An image that has passed this very test is not booted again unless `again`.
    """
    sums = settings.output / "SHA256SUMS"
    if not settings.image.is_file() or not sums.is_file():
        raise ImageError(f"{settings.image}: no image to test", hint="make image")
    cache = Cache(settings.cache)
    code = Path(__file__).parent
    key = digest(sums.read_bytes(), digest_tree([code / name for name in CODE]))
    passed = cache.folder / "boot-test" / key[:32]
    if passed.exists() and not again:
        progress.say(
            "boot-test", f"{settings.image}: passed before, and neither it nor the test has changed"
        )
        return
    passed.unlink(missing_ok=True)
    summary = _boot_and_judge(settings)
    passed.parent.mkdir(parents=True, exist_ok=True)
    passed.write_text(summary + "\n")
    progress.say("boot-test", f"passed: {summary}")


def _boot_and_judge(settings: Settings) -> str:
    work = settings.output / "boot-test"
    work.mkdir(exist_ok=True)
    machine = qemu.Machine(settings.image, work / "disk.raw", settings.output / "console.log")
    with progress.step("boot-test", "real frames to replay"):
        frames, origin = replay_input.frames_to_replay(settings.source)
        replay = work / "replay.pcap"
        pcap.write(replay, frames, step_ns=STEP_NS)
        make_disk(machine.disk, replay)
    with progress.step(
        "boot-test", f"boot, replay and capture in QEMU (console: {machine.console_log})"
    ):
        qemu.boot(machine)
    result = marker(machine.console_log.read_text(errors="replace"))
    if result is None:
        raise ImageError(
            "the guest powered off without a marker; its console's last lines:\n"
            + qemu.last_lines(machine.console_log),
            hint=f"all of it is in {machine.console_log}",
        )
    (work / "result.json").write_text(json.dumps(result, indent=1) + "\n")
    fetch(machine.disk, "journal.txt", work)
    if "error" in result:
        raise ImageError(
            f"the self-test in the guest failed: {result['error']}", hint=f"see {work}/journal.txt"
        )
    captured = pcap.read(fetch(machine.disk, "captured.pcapng", work))
    broken = broken_promises(result) + frame_differences(frames, captured)
    if broken:
        raise ImageError(
            "the image breaks its promises:\n" + "\n".join(f"  - {line}" for line in broken)
        )
    return f"{len(frames)} frames of {origin} came back byte for byte, none lost, ledger balanced"


def make_disk(disk: Path, replay: Path) -> None:
    """A FAT disk, labelled so that the guest starts its self-test, with the capture to replay."""
    with disk.open("wb") as file:
        file.truncate(DISK_MIB << 20)
    # The machine's kernel may not know FAT: mtools writes it without mounting.
    run(["mformat", "-F", "-v", LABEL, "-i", disk, "::"], timeout_s=60)
    run(["mcopy", "-i", disk, replay, "::replay.pcap"], timeout_s=60)


def fetch(disk: Path, name: str, folder: Path) -> Path:
    """Copy a file that the guest left on the disk into `folder`."""
    run(["mcopy", "-n", "-o", "-i", disk, f"::{name}", folder / name], timeout_s=60)
    return folder / name


def marker(console: str) -> dict[str, Any] | None:
    """What the marker line of a console log tells; None when there is no whole one."""
    for line in console.splitlines():
        _, found, text = line.partition(MARKER)
        if found:
            try:
                told = json.loads(text)
            except json.JSONDecodeError:
                continue
            if isinstance(told, dict):
                return told
    return None


def broken_promises(result: dict[str, Any]) -> list[str]:
    """A sentence for each promise that the guest's result does not keep."""
    capture, console, image = result["capture"], result["console"], result["image"]
    promises = [
        (capture["lost"] == 0, f"the capture lost {capture['lost']} frames"),
        (capture["balanced"] is True, f"the ledger is not balanced but {capture['balanced']}"),
        (result["user"] != 0, "the capture ran as root"),
        (not result["failed_units"], f"failed units: {', '.join(result['failed_units'])}"),
        (console["tty"] == "tty1", f"the console is on {console['tty']}, not on tty1"),
        (console["uid"] != 0, "the console runs as root"),
        ("RUNS" in result["screen"], "the console has not drawn its tables on the screen"),
        (
            console["name"].startswith("fieldtap"),
            f"what runs on tty1 is {console['name']}, not the console",
        ),
        ("root" in result["passwords"], "root is missing from the password file"),
        (
            not image["ssh_host_keys"],
            f"SSH host keys in the image: {', '.join(image['ssh_host_keys'])}",
        ),
        (not image["machine_id"], f"a machine id in the image: {image['machine_id']}"),
    ]
    for where, states in (("running system", result["passwords"]), ("image", image["passwords"])):
        for account, state in states.items():
            promises.append(
                (state == "locked", f"{where}: the password of {account} is {state}, not locked")
            )
    return [sentence for kept, sentence in promises if not kept]


def frame_differences(sent: Sequence[bytes], captured: Sequence[bytes]) -> list[str]:
    """What is wrong with `captured` where it should be `sent`, byte for byte and in order."""
    differences = []
    if len(sent) != len(captured):
        differences.append(f"{len(sent)} frames were sent and {len(captured)} captured")
    for number, (one, other) in enumerate(zip(sent, captured, strict=False), start=1):
        if one != other:
            differences.append(
                f"frame {number} differs: {_shown(one)} was sent, {_shown(other)} captured"
            )
            break
    return differences


def _shown(frame: bytes) -> str:
    return f"{len(frame)} bytes ({frame[:32].hex(' ', 4)}...)"
