"""An enclosure is plugged in while the console is open."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
MACHINES = HERE.parents[1] / "hardware" / "tests"


@pytest.mark.skipif(shutil.which("umockdev-wrapper") is None, reason="umockdev is not installed")
def test_the_first_screen_lists_an_adapter_as_soon_as_its_enclosure_is_plugged_in() -> None:
    ended = subprocess.run(
        ["umockdev-wrapper", sys.executable, HERE / "plugged_in_console.py"],
        env=os.environ | {"PYTHONPATH": str(MACHINES), "FIELDTAP_CATALOGUE_DIR": "/nonexistent"},
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stderr.decode()
    assert json.loads(ended.stdout) == [[], ["enp7s0f0", "enp7s0f1"], []]
