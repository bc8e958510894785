"""`fieldtap check --explain`, `firmware` and `license` as a user calls them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

DRIVER = """\
driver: sfc
version: 4.15.12.1008
firmware-version: 8.0.0.1015 rx1 tx1
expansion-rom-version:
bus-info: 0000:5e:00.0
supports-statistics: yes
supports-test: yes
supports-eeprom-access: no
supports-register-dump: yes
supports-priv-flags: yes
"""


def call(*arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "fieldtap", *arguments]
    return subprocess.run(command, input=given, capture_output=True, timeout=60, check=False)


@pytest.mark.parametrize("by_stdin", [False, True])
def test_a_recorded_output_is_read_from_a_file_and_from_stdin(
    tmp_path: Path, *, by_stdin: bool
) -> None:
    recording = tmp_path / "eth2.txt"
    recording.write_text(DRIVER)
    file = "-" if by_stdin else str(recording)
    done = call("check", "--explain", "ethtool-i", file, "--json", given=DRIVER.encode())
    report = json.loads(done.stdout)
    assert done.returncode == 0
    assert report["schema"] == "fieldtap.explain/1"
    assert (report["tool"], report["verdict"], report["reason"]) == ("ethtool-i", "ok", None)
    (item,) = report["items"]
    assert item["subject"] == "0000:5e:00.0"
    assert item["values"]["firmware_version"] == "8.0.0.1015 rx1 tx1"


def test_without_json_a_recorded_output_is_shown_as_lines(tmp_path: Path) -> None:
    done = call("check", "--explain", "ethtool-i", "-", given=DRIVER.encode()[:100])
    assert done.returncode == 0
    assert b"driver: sfc" in done.stdout
    assert b"unknown" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("check", "--explain", "nonsense", "-"), 2),
        (("check", "--explain", "pmc"), 2),
        (("check", "--explain", "pmc", "/nonexistent"), 1),
        (("check", "--explain", "pmc", "/"), 1),
    ],
)
def test_what_cannot_be_read_is_said_in_one_line(arguments: tuple[str, ...], code: int) -> None:
    done = call(*arguments)
    assert done.returncode == code
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == b""


def test_more_than_any_tool_prints_is_unknown_and_not_read_to_its_end() -> None:
    done = call("check", "--explain", "pmc", "/dev/zero", "--json")
    assert json.loads(done.stdout)["verdict"] == "unknown"


@pytest.mark.parametrize("name", ["firmware", "license"])
def test_firmware_and_licences_as_json_name_their_schema(name: str) -> None:
    done = call(name, "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 0
    assert report["schema"] == f"fieldtap.{name}/1"
    assert isinstance(report[name], list)
    assert call(name).returncode == 0
    assert f"fieldtap {name}".encode() in call(name, "--help").stdout
