#!/usr/bin/python3
"""Prove in the booted image that it captures what crosses its ports.

Takes the first two Ethernet ports, which whoever starts this has joined to each other, moves each
into a network namespace of its own (so that the kernel takes no short cut between them), replays
`replay.pcap` from the disk on one and captures on the other as the unprivileged user. Results go
back onto the disk; one marker line, `FIELDTAP-SELFTEST: {json}`, goes to the serial console. It
judges nothing: whoever reads the marker does.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

MARKER = "FIELDTAP-SELFTEST: "
CAPTURE_NAME = "selftest"
CAPTURE_LIMIT_S = 300
SETTLE_S = 1.0
SCREEN_WORD = "PORTS"  # heading of the console's first table


def run(*argv: str, timeout_s: float = 120.0) -> str:
    """Standard output of a program; RuntimeError with its own words when it fails."""
    result = subprocess.run(argv, capture_output=True, text=True, timeout=timeout_s, check=False)
    if result.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)}: exit {result.returncode}: {result.stderr.strip()}")
    return result.stdout


@contextlib.contextmanager
def mounted(device: str, at: Path, *options: str) -> Iterator[Path]:
    at.mkdir(parents=True, exist_ok=True)
    run("mount", *options, device, str(at))
    try:
        yield at
    finally:
        run("umount", str(at))


def wait_until(what: str, get: Callable[[], T | None], limit_s: float = 120.0) -> T:
    """The first true value of `get()`; RuntimeError naming `what` when there is none in time."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        value = get()
        if value:
            return value
        time.sleep(0.2)
    raise RuntimeError(f"waited {limit_s:.0f} s in vain for {what}")


# --- what the system is like ------------------------------------------------------------------


def failed_units() -> list[str]:
    """Names of the units that failed, once everything that starts at boot has started."""
    subprocess.run(
        ["systemctl", "is-system-running", "--wait"],
        stdout=subprocess.DEVNULL,
        timeout=300,
        check=False,
    )
    listing = run("systemctl", "list-units", "--failed", "--plain", "--no-legend")
    return [line.split()[0] for line in listing.splitlines() if line.strip()]


def console_process() -> dict[str, Any] | None:
    """The console unit's main process: its name, user id and controlling terminal."""
    pid = run(
        "systemctl", "show", "fieldtap-console.service", "--property=MainPID", "--value"
    ).strip()
    if pid in ("", "0"):
        return None
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        # The fields after the name in parentheses: state, ppid, pgrp, session, tty_nr.
        tty_number = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[4])
    except OSError:
        return None
    if tty_number == 0:
        return None
    major, minor = os.major(tty_number), os.minor(tty_number)
    tty = Path(f"/sys/dev/char/{major}:{minor}").resolve().name
    fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    return {
        "pid": int(pid),
        "name": fields["Name"].strip(),
        "uid": int(fields["Uid"].split()[1]),
        "tty": tty,
    }


def screen_text() -> str | None:
    """The words on tty1's screen (vcs(4): a byte a cell), once the console has drawn its tables."""
    cells = Path("/dev/vcs1").read_bytes()
    words = "".join(chr(cell) if 32 < cell < 127 else " " for cell in cells).split()
    return " ".join(words) if SCREEN_WORD in words else None


def password_states(shadow: Path) -> dict[str, str]:
    """`locked`, `empty` or `set` for each account of a shadow file."""
    states = {}
    for line in shadow.read_text().splitlines():
        name, password = line.split(":")[:2]
        if password == "":
            states[name] = "empty"
        else:
            states[name] = "locked" if password[0] in "!*" else "set"
    return states


def image_identity(root: Path) -> dict[str, Any]:
    """What the image's own root file system, as shipped, says about secrets and identity."""
    machine_id = root / "etc/machine-id"
    return {
        "ssh_host_keys": sorted(path.name for path in (root / "etc/ssh").glob("ssh_host_*")),
        "machine_id": machine_id.read_text().strip() if machine_id.exists() else "",
        "passwords": password_states(root / "etc/shadow"),
    }


# --- the capture ------------------------------------------------------------------------------


def first_two_ports() -> list[str] | None:
    """Names of the two ports with the lowest hardware addresses; None while there are fewer."""
    ports = [path for path in Path("/sys/class/net").iterdir() if (path / "device").exists()]
    ports.sort(key=lambda path: (path / "address").read_text())
    return [path.name for path in ports[:2]] if len(ports) > 1 else None


def move_into_namespace(port: str) -> str:
    """A new namespace that holds `port`, up and silent."""
    namespace = f"selftest-{port}"
    run("ip", "netns", "add", namespace)
    run("ip", "link", "set", port, "netns", namespace)
    no_ipv6 = "for name in all default; do echo 1 >/proc/sys/net/ipv6/conf/$name/disable_ipv6; done"
    run("ip", "netns", "exec", namespace, "sh", "-c", no_ipv6)
    run("ip", "-n", namespace, "link", "set", port, "arp", "off", "up")
    return namespace


def received(namespace: str, port: str) -> int:
    link = json.loads(run("ip", "-n", namespace, "-j", "-s", "link", "show", port))[0]
    return int(link["stats64"]["rx"]["packets"])


def wait_until_quiet(namespace: str, port: str) -> None:
    """Return when no frame has arrived for SETTLE_S."""
    before = -1
    while (now := received(namespace, port)) != before:
        before = now
        time.sleep(SETTLE_S)


def capture_and_replay(replay: Path, captures: Path, user: str) -> dict[str, Any]:
    """Both reports and the captured file's path."""
    sender, receiver = wait_until("two Ethernet ports", first_two_ports)
    sender_namespace = move_into_namespace(sender)
    receiver_namespace = move_into_namespace(receiver)
    output, report = captures / "selftest.pcapng", captures / "selftest-report.json"
    sent_report = Path("/run/selftest-generate.json")
    as_user = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "--inh-caps=-all"]
    capture_argv = ["ft-capture", "--name", CAPTURE_NAME, "-i", receiver, "-d", "in"]
    capture_argv += ["-w", str(output)]
    capture_argv += ["-a", f"duration:{CAPTURE_LIMIT_S}", "--report", str(report)]
    capture = subprocess.Popen(
        ["ip", "netns", "exec", receiver_namespace, *as_user, *capture_argv],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        socket = Path("/run/fieldtap", CAPTURE_NAME, "control.sock")
        wait_until(
            "the capture to start", lambda: socket.exists() or capture.poll() is not None, 60
        )
        generate_argv = ["ft-generate", "-o", sender, "--replay", str(replay), "--rate", "max"]
        run("ip", "netns", "exec", sender_namespace, *generate_argv, "--report", str(sent_report))
        wait_until_quiet(receiver_namespace, receiver)
    finally:
        if capture.poll() is None:
            capture.send_signal(signal.SIGINT)
        _, complaint = capture.communicate(timeout=60)
    if capture.returncode != 0:
        raise RuntimeError(f"ft-capture: exit {capture.returncode}: {complaint.strip()}")
    return {
        "user": pwd.getpwnam(user).pw_uid,
        "captured": str(output),
        "capture": json.loads(report.read_text()),
        "generate": json.loads(sent_report.read_text()),
    }


def self_test(disk: Path, captures: Path, user: str) -> dict[str, Any]:
    result: dict[str, Any] = {
        "failed_units": failed_units(),
        "console": wait_until("the console on its terminal", console_process),
        "screen": wait_until("the console to draw its screen", screen_text, 240),
        "passwords": password_states(Path("/etc/shadow")),
    }
    with mounted(
        "/dev/disk/by-partlabel/fieldtap-root", Path("/run/selftest/root"), "-o", "ro"
    ) as root:
        result["image"] = image_identity(root)
    result |= capture_and_replay(disk / "replay.pcap", captures, user)
    shutil.copy(result["captured"], disk / "captured.pcapng")
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--disk", required=True, help="file system with replay.pcap, for the results"
    )
    parser.add_argument("--captures", type=Path, required=True, help="where the user may write")
    parser.add_argument("--user", required=True, help="unprivileged user that captures")
    parser.add_argument(
        "--marker-to", type=Path, required=True, help="terminal for the marker line"
    )
    options = parser.parse_args()
    with mounted(options.disk, Path("/run/selftest/disk")) as disk:
        try:
            result = self_test(disk, options.captures, options.user)
        except Exception as error:  # noqa: BLE001  # whoever waits must get a marker
            result = {"error": f"{type(error).__name__}: {error}"}
        (disk / "journal.txt").write_text(
            run("journalctl", "--boot", "--no-pager", "--output=short-monotonic")
        )
    options.marker_to.write_text(f"\n{MARKER}{json.dumps(result)}\n")


if __name__ == "__main__":
    main()
