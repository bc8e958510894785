"""Asking other programs: one way to run a reader, with a time-out and its words when it fails.

For programs that only read. One that writes to an adapter must never be run by this, since the
time-out kills.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Sequence

from fieldtap_hardware.sysfs import clean_text
from fieldtap_hardware.verdicts import Unreadable

Ask = Callable[[Sequence[str]], bytes | Unreadable]
"""A command in, its output or why there is none out."""

TIMEOUT_S = 30  # sfupdate loads every image before it speaks
SYSTEM_DIRS = "/usr/sbin:/sbin"  # missing from an unprivileged user's PATH


def environment() -> dict[str, str]:
    """Ours, with the C locale and the system's directories."""
    path = f"{os.environ.get('PATH', os.defpath)}:{SYSTEM_DIRS}"
    return os.environ | {"LC_ALL": "C", "PATH": path}


def find_program(name: str) -> str | None:
    """The path of a program; None where it is not installed."""
    return shutil.which(name, path=environment()["PATH"])


def ask_program(command: Sequence[str]) -> bytes | Unreadable:
    """Run a reader in the C locale and return what it printed on stdout.

    An exit code other than 0 with nothing on stdout is `Unreadable`, in the program's words; with
    output it is the parser's to judge.
    """
    program = find_program(command[0])
    if program is None:
        return Unreadable(f"{command[0]} is not installed")
    try:
        process = subprocess.Popen(
            [program, *command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
            start_new_session=True,
        )
    except OSError as error:
        return Unreadable(f"`{' '.join(command)}`: {error.strerror}")
    with process:
        try:
            output, errors = process.communicate(timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return Unreadable(f"`{' '.join(command)}` gave no answer within {TIMEOUT_S} s")
    if process.returncode and not output.strip():
        words = clean_text(errors).split("\n")[0] or f"exit code {process.returncode}"
        return Unreadable(f"`{' '.join(command)}`: {words}")
    return output
