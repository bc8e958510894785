"""Will an enclosure be let in again? A real bolt is asked, beside a mocked machine."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from fieldtap_hardware.bolt import Enrolment, parse_enrolment, read_enrolment
from fieldtap_hardware.thunderbolt import Tree, check_tree
from fieldtap_hardware.verdicts import Unreadable, Verdict
from hypothesis import given
from hypothesis import strategies as st
from machine_report import Judged
from mocked_machine import MACHINES, description
from msgspec.structs import replace
from test_thunderbolt import BOX, DOMAIN, HOST

HERE = Path(__file__).parent
NAME = "laptop_thunderbolt3_sfn7122f"
UNIQUE_ID = "7b030000-0080-6418-2341-3d1a4f2c0e01"
BOLT = Path("/usr/libexec/boltd")
# As busctl of systemd 252 printed it, without the properties that are passed over.
REPLY = b"""{"type":"a{sv}","data":[{"Uid":{"type":"s","data":"7b030000-0080-6418-2341-..."},
"Stored":{"type":"b","data":true},"Policy":{"type":"s","data":"auto"},
"LinkSpeed":{"type":"a{su}","data":{"rx.speed":20,"rx.lanes":2}}}]}"""
BUS = """<busconfig><type>system</type><listen>unix:path={folder}/bus</listen>
<policy context="default"><allow send_destination="*" eavesdrop="true"/>
<allow eavesdrop="true"/><allow own="*"/></policy></busconfig>"""
STORED = """[device]
name=Core X
vendor=Razer
generation=3
type=peripheral

[user]
policy=auto
storetime=1700000000
"""


def test_what_bolt_keeps_is_read_of_its_properties() -> None:
    asked: list[Sequence[str]] = []

    def ask(command: Sequence[str]) -> bytes:
        asked.append(command)
        return REPLY

    assert read_enrolment(UNIQUE_ID, ask) == Enrolment(stored=True, policy="auto")
    assert "/org/freedesktop/bolt/devices/7b030000_0080_6418_2341_3d1a4f2c0e01" in asked[0]


def test_without_bolt_or_an_id_nothing_is_kept() -> None:
    assert read_enrolment(UNIQUE_ID, lambda command: Unreadable("not there")) is None
    assert read_enrolment(None) is None
    assert read_enrolment("../../other") is None


@given(st.binary(max_size=200) | st.integers(0, len(REPLY) - 1).map(lambda at: REPLY[:at]))
def test_any_reply_that_is_not_whole_tells_nothing(reply: bytes) -> None:
    assert parse_enrolment(reply) is None


@pytest.mark.parametrize(
    ("enrolment", "iommu", "verdict"),
    [
        (None, False, "ok"),
        (Enrolment(stored=True, policy="auto"), False, "ok"),
        (Enrolment(stored=True, policy="iommu"), True, "ok"),
        (Enrolment(stored=True, policy="iommu"), False, "warn"),
        (Enrolment(stored=True, policy="manual"), True, "warn"),
        (Enrolment(stored=False, policy="default"), False, "warn"),
    ],
)
def test_a_device_that_is_let_in_only_once_is_a_warning(
    *, enrolment: Enrolment | None, iommu: bool, verdict: str
) -> None:
    domain = replace(DOMAIN, iommu_protects=iommu)
    tree = Tree((domain,), (HOST, replace(BOX, enrolment=enrolment)))
    (check,) = [check for check in check_tree(tree) if check.id == "thunderbolt.authorized"]
    assert check.verdict == verdict
    assert (check.remedy is None) == (verdict == "ok")


@pytest.mark.skipif(
    not BOLT.exists() or None in map(shutil.which, ("umockdev-run", "dbus-daemon", "busctl")),
    reason="bolt, umockdev, dbus-daemon or busctl is not installed",
)
@pytest.mark.parametrize(("stored", "verdict"), [(False, Verdict.WARN), (True, Verdict.OK)])
def test_a_real_bolt_says_whether_the_enclosure_is_kept(
    tmp_path: Path, *, stored: bool, verdict: Verdict
) -> None:
    (tmp_path / "machine.umockdev").write_text(description(NAME))
    (tmp_path / "bus.conf").write_text(BUS.format(folder=tmp_path))
    devices = tmp_path / "bolt" / "devices"
    devices.mkdir(parents=True)
    if stored:
        (devices / UNIQUE_ID).write_text(STORED)
    ended = subprocess.run(
        [
            *("umockdev-run", "--device", tmp_path / "machine.umockdev", "--"),
            *(HERE / "judge_with_bolt", tmp_path, sys.executable),
            *(HERE / "machine_report.py", MACHINES / f"{NAME}.toml"),
        ],
        env=os.environ | {"FIELDTAP_CATALOGUE_DIR": "/nonexistent"},
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stderr.decode()
    judged = msgspec.json.decode(ended.stdout, type=Judged)
    (check,) = [one for one in judged.report.checks if one.id == "thunderbolt.authorized"]
    assert (check.verdict, check.evidence["bolt_stored"]) == (verdict, stored)
