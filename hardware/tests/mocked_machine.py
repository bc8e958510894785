"""A machine of `machines/` in this process, to which devices can be plugged while it runs.

Needs umockdev's preload library: run the program under `umockdev-wrapper`.
"""

import ctypes
import re
from collections.abc import Iterator
from pathlib import Path

MACHINES = Path(__file__).parent / "machines"


def description(name: str) -> str:
    """A machine's description without the comments in its head, which umockdev does not take."""
    text = (MACHINES / f"{name}.umockdev").read_text()
    return re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).lstrip()


class MockedMachine:
    """A testbed of umockdev; its /sys and its udev events take the place of the machine's."""

    def __init__(self, name: str) -> None:
        self._library = ctypes.CDLL("libumockdev.so.0")
        self._library.umockdev_testbed_new.restype = ctypes.c_void_p
        self._testbed = ctypes.c_void_p(self._library.umockdev_testbed_new())
        self._devices: list[str] = []
        self._add(description(name))

    def plug_in(self, name: str) -> Iterator[str]:
        """Add the devices that the machine called `name` has beyond this one.

        Yields after the event of each: its queue is short, so the listener must read in between.
        """
        there = set(self._devices)
        blocks = [block for block in description(name).split("\n\n") if block.strip()]
        self._add("\n\n".join(block for block in blocks if _path(block) not in there) + "\n")
        for path in self._devices:
            if path not in there:
                self._tell(path, "add")
                yield path

    def unplug(self, kept: str) -> Iterator[str]:
        """Take away what the machine called `kept` does not have, the innermost first."""
        stays = {_path(block) for block in description(kept).split("\n\n") if block.strip()}
        for path in reversed(self._devices):
            if path not in stays:
                self._tell(path, "remove")
                self._library.umockdev_testbed_remove_device(self._testbed, f"/sys{path}".encode())
                yield path
        self._devices = [path for path in self._devices if path in stays]

    def _add(self, text: str) -> None:
        error = ctypes.c_void_p()
        added = self._library.umockdev_testbed_add_from_string(
            self._testbed, text.encode(), ctypes.byref(error)
        )
        assert added, text
        self._devices += [_path(block) for block in text.split("\n\n") if block.strip()]

    def _tell(self, path: str, action: str) -> None:
        self._library.umockdev_testbed_uevent(
            self._testbed, f"/sys{path}".encode(), action.encode()
        )


def _path(block: str) -> str:
    return block.strip().partition("\n")[0].removeprefix("P: ")
