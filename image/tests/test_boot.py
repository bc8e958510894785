"""The image boots and keeps its promises. Takes two minutes, once for each image."""

from __future__ import annotations

import os
import shutil

import pytest
from fieldtap_image.boot_test import boot_test
from fieldtap_image.qemu import FIRMWARE
from fieldtap_image.settings import from_environment


@pytest.mark.root
def test_the_booted_image_captures_real_frames_whole_and_in_order() -> None:
    settings = from_environment()
    if not settings.image.is_file():
        pytest.skip(f"no image at {settings.image}: make image")
    if shutil.which("qemu-system-x86_64") is None or not FIRMWARE.is_dir():
        pytest.skip("QEMU or its UEFI firmware is not installed: setup/system image")
    if os.geteuid() != 0:
        pytest.skip("the traffic may have to be recorded, which needs root")
    boot_test(settings, again=False)
