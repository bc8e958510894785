"""Installing a key file with a fake sfkey: what is proven, and what is never shown."""

import dataclasses
import stat
from pathlib import Path

import fake_adapter
import fake_machine
import msgspec
import pytest
from fieldtap_hardware.firmware_plan import UpdateError
from fieldtap_hardware.license_install import install, plan_install

KEY = "abc123-DEF456-not-a-real-key-7890"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    fake_machine.make_folder(tmp_path, "sfupdate", "sfc", clock=False)
    (tmp_path / "keys.txt").write_text(f"{KEY}\n")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    return tmp_path


def test_a_dry_run_shows_the_command_and_installs_nothing(folder: Path) -> None:
    plan = plan_install("eth2", folder / "keys.txt", fake_machine.machine(folder))
    assert plan.outcome == "planned"
    assert plan.word == "0000:01:00.0"
    assert fake_adapter.read(folder / "adapter.json")["licenses"] == []


def test_a_key_is_proven_by_what_the_driver_offers_after_it(folder: Path) -> None:
    machine = fake_machine.machine(folder)
    report = install(plan_install("eth2", folder / "keys.txt", machine), machine)
    assert report.outcome == "proven"
    assert "unverified format" in report.format
    (change,) = report.changes
    assert (change.feature, change.before, change.after) == ("timestamps", "missing", "licensed")
    assert change.source == "driver"


def test_without_a_change_of_the_driver_the_result_is_unverified(folder: Path) -> None:
    fake_adapter.change(folder / "adapter.json", clock=True)
    machine = fake_machine.machine(folder)
    report = install(plan_install("eth2", folder / "keys.txt", machine), machine)
    assert report.outcome == "unverified"
    assert "unverified format" in report.summary
    assert report.remedy is not None


@pytest.mark.parametrize("mode", ["good", "refuse"])
def test_a_key_is_never_shown(folder: Path, mode: str) -> None:
    """The fake prints the key, as a tool may that complains of it."""
    fake_adapter.change(folder / "adapter.json", mode=mode)
    said = list[str]()
    machine = dataclasses.replace(fake_machine.machine(folder), say=said.append)
    report = install(plan_install("eth2", folder / "keys.txt", machine), machine)
    assert report.outcome == ("failed" if mode == "refuse" else "proven")
    shown = msgspec.json.encode(report).decode() + "".join(said)
    assert KEY not in shown
    assert "(masked)" in shown


@pytest.mark.parametrize(
    ("content", "words"), [(None, "No such file"), (b"", "no key file"), (b"x" * 70000, "no key")]
)
def test_what_is_no_key_file_is_refused(folder: Path, content: bytes | None, words: str) -> None:
    file = folder / "other.txt"
    if content is not None:
        file.write_bytes(content)
    report = plan_install("eth2", file, fake_machine.machine(folder))
    assert report.outcome == "refused"
    assert words in report.summary


def test_an_adapter_that_takes_no_keys_is_refused(folder: Path) -> None:
    fake_adapter.change(folder / "adapter.json", device_id="8086:1572")
    report = plan_install("eth2", folder / "keys.txt", fake_machine.machine(folder))
    assert (report.outcome, report.remedy) == ("refused", "it needs none")


def test_a_port_that_is_not_there_is_an_error(folder: Path) -> None:
    with pytest.raises(UpdateError, match="eth9"):
        plan_install("eth9", folder / "keys.txt", fake_machine.machine(folder))


def test_the_key_file_is_left_as_it_was(folder: Path) -> None:
    file = folder / "keys.txt"
    before = stat.S_IMODE(file.stat().st_mode)
    machine = fake_machine.machine(folder)
    install(plan_install("eth2", file, machine), machine)
    assert (file.read_text().strip(), stat.S_IMODE(file.stat().st_mode)) == (KEY, before)
