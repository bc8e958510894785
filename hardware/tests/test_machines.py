"""Whole machines that are not here: described for umockdev, read by the real readers, and judged.

`machines/NAME.umockdev` is what /sys and udev show, its head says whether it was recorded or
constructed; `NAME.toml` beside it has what drivers say, and the verdicts that must come out.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from fieldtap_hardware.verdicts import Verdict
from fieldtap_hardware.watch import Change
from machine_report import Judged
from mocked_machine import MACHINES, description
from recorded_driver import read_machine

HERE = Path(__file__).parent
CHECKS = (HERE.parents[1] / "docs" / "checks.md").read_text()
NAMES = sorted(file.stem for file in MACHINES.glob("*.umockdev"))

pytestmark = pytest.mark.skipif(
    shutil.which("umockdev-run") is None, reason="umockdev is not installed"
)


def run(*command: str | Path) -> bytes:
    """Run a program of this folder and return what it prints."""
    environment = os.environ | {"FIELDTAP_CATALOGUE_DIR": "/nonexistent"}
    ended = subprocess.run(command, capture_output=True, check=False, env=environment, timeout=120)
    assert ended.returncode == 0, ended.stderr.decode()
    return ended.stdout


def judge(name: str, folder: Path) -> Judged:
    described = folder / f"{name}.umockdev"
    described.write_text(description(name))
    printed = run(
        *("umockdev-run", "--device", described, "--", sys.executable),
        *(HERE / "machine_report.py", MACHINES / f"{name}.toml"),
    )
    return msgspec.json.decode(printed, type=Judged)


@pytest.mark.parametrize("name", NAMES)
def test_each_machine_says_whether_it_was_recorded_or_constructed(name: str) -> None:
    head = (MACHINES / f"{name}.umockdev").read_text().partition("\n")[0]
    assert head.startswith(("# constructed: ", "# recorded: "))


@pytest.mark.parametrize("name", NAMES)
def test_a_machine_gets_its_verdicts(name: str, tmp_path: Path) -> None:
    judged = judge(name, tmp_path)
    checks = judged.report.checks
    expected = read_machine(MACHINES / f"{name}.toml").verdicts
    found: dict[str, dict[str, str]] = {}
    for check in checks:
        if check.id in expected.get(check.subject, {}):
            found.setdefault(check.subject, {})[check.id] = check.verdict
    assert found == expected
    others = {one.subject for one in checks if one.id.startswith(("thunderbolt.", "machine."))}
    assert {port.name for port in judged.ports} | others == set(expected)
    for check in checks:
        assert f"| `{check.id}` |" in CHECKS
        assert check.remedy or check.verdict not in (Verdict.WARN, Verdict.FAIL), check


def test_ports_of_a_machine_have_their_hardware(tmp_path: Path) -> None:
    first, second = judge("desktop_x710", tmp_path).ports
    assert (first.name, second.name) == ("enp1s0f0", "enp1s0f1")
    assert (first.connector, first.numa_node) == ("fibre", 0)
    assert first.pci[0].subsystem_id == "8086:0007"
    assert (second.carrier_ups, second.carrier_downs) == (15, 14)


def test_an_enclosure_that_is_plugged_in_is_seen_live_and_judged() -> None:
    printed = run("umockdev-wrapper", sys.executable, HERE / "plugged_in.py")
    before, plugged, pulled = msgspec.json.decode(printed, type=tuple[Judged, Judged, Judged])
    assert (before.ports, before.changes) == ((), ())
    assert [port.name for port in plugged.ports] == ["enp7s0f0", "enp7s0f1"]
    assert set(plugged.changes) >= {
        Change("add", "thunderbolt", "0-1"),
        Change("add", "net", "enp7s0f0"),
    }
    enclosures = [one for one in plugged.report.checks if one.id == "port.enclosure"]
    assert {check.evidence["device"] for check in enclosures} == {"0-1"}
    assert pulled.ports == ()
    assert {change.action for change in pulled.changes} == {"remove"}
    assert "0-1" not in {check.subject for check in pulled.report.checks}
