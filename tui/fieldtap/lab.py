"""The command layer for the lab link: two joined virtual ports that say nothing by themselves."""

import subprocess
from pathlib import Path

from fieldtap import offloads
from fieldtap.failures import CommandError

PORTS = ("ftlab0", "ftlab1")
MTU_BYTES = 9216  # jumbo frames, with room for tags
MARK = "fieldtap lab link"
TIMEOUT_S = 10


def up() -> bool:
    """Make the link and bring it up; returns False where it was there. Raises `CommandError`."""
    made = not _exists(PORTS[0])
    if made:
        _ip("link", "add", PORTS[0], "type", "veth", "peer", "name", PORTS[1])
        _ip("link", "set", PORTS[0], "alias", MARK)
    _check_ours()
    for port in PORTS:
        _silence(port)
        _unjoin(port)
        _ip("link", "set", port, "mtu", str(MTU_BYTES), "up")
    return made


def down() -> bool:
    """Remove the link; returns False where there was none. Raises `CommandError`."""
    if not _exists(PORTS[0]):
        return False
    _check_ours()
    _ip("link", "del", PORTS[0])
    return True


def _exists(port: str) -> bool:
    return Path("/sys/class/net", port).exists()


def _check_ours() -> None:
    """Raise unless the ports are the link that `up` made: another's are left alone."""
    try:
        alias = Path("/sys/class/net", PORTS[0], "ifalias").read_text().strip()
    except OSError:
        alias = ""
    if alias != MARK or not _exists(PORTS[1]):
        raise CommandError(
            f"{PORTS[0]} is not a lab link of ours; rename or remove it: ip link del {PORTS[0]}"
        )


def _silence(port: str) -> None:
    """No IPv6: a port that is up would announce itself."""
    setting = Path("/proc/sys/net/ipv6/conf", port, "disable_ipv6")
    try:
        if setting.exists():
            setting.write_text("1\n")
    except OSError as error:
        raise CommandError(f"{setting}: {error.strerror}; run as root or with sudo") from None


def _unjoin(port: str) -> None:
    """No offloads: frames must cross as they were sent, with the checksums they will have."""
    try:
        offloads.switch_off(port)
    except OSError as error:
        text = f"{port}: cannot switch offloads off: {error.strerror}; run as root or with sudo"
        raise CommandError(text) from None


def _ip(*arguments: str) -> None:
    command = ["ip", *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except FileNotFoundError:
        raise CommandError("the program ip is missing: install iproute2") from None
    except subprocess.TimeoutExpired:
        raise CommandError(f"`{' '.join(command)}` did not end in {TIMEOUT_S} s") from None
    if done.returncode != 0:
        said = done.stderr.strip() or f"exit code {done.returncode}"
        hint = "; run as root or with sudo" if "not permitted" in said else ""
        raise CommandError(f"`{' '.join(command)}`: {said}{hint}")
