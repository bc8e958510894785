"""`fieldtap check --catalogue` as a user calls it."""

import json
import subprocess
import sys
from importlib import resources
from pathlib import Path

SHIPPED = resources.files("fieldtap_hardware") / "catalogue" / "adapters" / "virtio.toml"


def check(*files: Path) -> tuple[int, list[dict[str, str]]]:
    """The exit code, and the checks of a run over `files`."""
    options = [word for file in files for word in ("--catalogue", str(file))]
    command = [sys.executable, "-m", "fieldtap", "check", "--json", *options]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert done.stderr == b""
    return done.returncode, json.loads(done.stdout)["checks"]


def test_a_good_file_is_ok_and_a_bad_one_is_told_from_it(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.toml", tmp_path / "bad.toml"
    good.write_text(SHIPPED.read_text())
    bad.write_text(SHIPPED.read_text().replace("drivers", "driverz"))
    code, checks = check(good, bad)
    assert code == 3
    assert [one["verdict"] for one in checks] == ["ok", "fail"]
    assert "driverz" in checks[1]["summary"]
    assert str(bad) in checks[1]["remedy"]
    assert check(good)[0] == 0
