"""The adapter clock of an emulated e1000e, in a guest: does it move, and what is said of it?

Needs the kernel that `make image` leaves in its cache, and QEMU. A verdict is kept in that cache and
asked for anew when anything that it rests on has changed.
"""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import fieldtap_hardware
from campaigns.guest import (
    archive,
    base_command,
    image_cache,
    libraries,
    modules_of_image,
    newest,
    running_guest,
)
from fieldlab import Json, LabError, tool

INIT = """#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
exec </dev/console >/dev/console 2>&1
for module in /modules/*.ko; do /bin/busybox insmod "$module"; done
until [ -e /dev/ptp0 ]; do /bin/busybox sleep 0.1; done
/bin/python -S -E /probe.py
/bin/busybox sleep 1000
"""
PROBE = """
import sys
sys.path[:0] = [PATHS]
import msgspec
from fieldtap_hardware.clock import read_clock
from fieldtap_hardware.clock_sources import read_phc
reading = read_clock(0)
phc = read_phc(0)
print("CLOCK " + msgspec.json.encode({"reading": reading, "moves": reading.moves, "phc": phc}).decode())
"""
LOADED = """
import sys
sys.path[:0] = sys.argv[1].split(":")
import msgspec, fieldtap_hardware.clock, fieldtap_hardware.clock_sources
print("\\n".join(m.__file__ for m in list(sys.modules.values()) if getattr(m, "__file__", None)))
"""
