"""What refuses an update before it begins, and the manifests and journals that it reads."""

import dataclasses
import resource
from collections.abc import Callable
from hashlib import sha256
from importlib import resources
from pathlib import Path

import fake_adapter
import fake_machine
import pytest
from fieldtap_hardware.firmware_images import ImageError, find_image, parse_manifest
from fieldtap_hardware.firmware_plan import UpdateError, make_plan
from fieldtap_hardware.firmware_precheck import check_power, filesystem_of, refusals
from fieldtap_hardware.firmware_run import UpdateReport
from fieldtap_hardware.firmware_tools import TOOLS
from fieldtap_hardware.firmware_update import dry_run, find_open
from fieldtap_hardware.firmware_versions import is_newer, same
from fieldtap_hardware.journal import Journal, JournalError, parse
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

SHA = "a" * 64
MANIFEST = f"""
[[image]]
file = "new.bin"
version = "2.0.0"
tool = "devlink"
devices = ["1924:0903"]
sha256 = "{SHA}"
"""
SOLARFLARE_7000 = "catalogue/adapters/solarflare_7000.toml"
BAD = """
[[known_bad]]
what = "firmware"
first = "2.0.0"
last = "2.0.0"
verdict = "{}"
effect = "forgets its address"
remedy = "write 2.0.1"
source = "constructed"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine on which an update may be done."""
    fake_machine.make_folder(tmp_path, "devlink", "ice")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    return tmp_path


def judge(folder: Path, not_newer: str | None = None, *accepted: str) -> UpdateReport:
    machine = fake_machine.machine(folder)
    plan = make_plan(fake_adapter.PORT, find_image(folder / "images/new.bin"), machine)
    return dry_run(plan, machine, not_newer, accepted)


def refused_by(report: UpdateReport) -> list[str]:
    return [check.id for check in refusals(report.checks)]


def set_adapter(**values: object) -> Callable[[Path], None]:
    return lambda folder: fake_adapter.change(folder / "adapter.json", **values)


def set_image(**values: str) -> Callable[[Path], None]:
    return lambda folder: fake_machine.write_manifest(
        folder / "images/new.bin", values.pop("tool", "devlink"), **values
    )


def test_nothing_in_the_way_is_a_plan_and_touches_nothing(folder: Path) -> None:
    report = judge(folder)
    assert report.outcome == "planned"
    assert report.plan is not None
    assert report.plan.command[:3] == ("devlink", "dev", "flash")
    assert fake_adapter.read(folder / "adapter.json")["writes"] == 0
    assert not (folder / "state").exists()
    assert find_open(fake_machine.machine(folder)) is None


@pytest.mark.parametrize(
    ("change", "check"),
    [
        (set_adapter(engines=["tap"]), "captures"),
        (lambda it: (it / "packet").write_text("head\n00 3 3 0003 4 1 0 0 7\n"), "captures"),
        (lambda it: (it / "packet").write_text("head\n00 3 3 0003 0 1 0 0 7\n"), "captures"),
        (set_adapter(default_route=True), "management"),
        (set_adapter(addresses=["192.0.2.1/24"]), "management"),
        (set_adapter(running="3.0.0"), "direction"),
        (set_adapter(running="2.0.0"), "direction"),
        (set_adapter(running="nonsense"), "direction"),
        (set_adapter(device_id="8086:1572"), "adapter"),
        (set_adapter(device_id=None), "adapter"),
        (set_image(device="8086:1572"), "adapter"),
        (set_image(tool="sfupdate"), "tool"),
        (lambda it: (it / "images/new.bin").write_text("other"), "image"),
        (lambda it: (it / "power/AC/online").write_text("0\n"), "power"),
    ],
)
def test_what_stands_in_the_way_refuses_and_says_what_to_do(
    folder: Path, change: Callable[[Path], object], check: str
) -> None:
    change(folder)
    report = judge(folder)
    assert report.outcome == "refused"
    assert refused_by(report) == [f"update.{check}"]
    assert all(check.remedy for check in report.checks if check.verdict != "ok")


def test_a_tool_that_is_not_installed_refuses(folder: Path) -> None:
    fake_adapter.change(folder / "adapter.json", driver="ixgbe")
    set_image(tool="nvmupdate64e")(folder)
    (folder / "bin/nvmupdate64e").unlink()
    report = judge(folder)
    assert refused_by(report) == ["update.tool"]
    assert "not installed" in report.summary


@pytest.mark.parametrize("verdict", ["warn", "fail"])
def test_a_version_that_the_catalogue_knows_to_be_bad_is_warned_of_or_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, verdict: str
) -> None:
    text = (resources.files("fieldtap_hardware") / SOLARFLARE_7000).read_text()
    (folder / "catalogue.d").mkdir()
    (folder / "catalogue.d/own.toml").write_text(text + BAD.format(verdict))
    monkeypatch.setenv("FIELDTAP_CATALOGUE_DIR", str(folder / "catalogue.d"))
    set_image(version="2.0.0.7")(folder)
    fake_adapter.change(folder / "adapter.json", running="1.0.0.0")
    report = judge(folder)
    assert refused_by(report) == (["update.version"] if verdict == "fail" else [])
    check = next(check for check in report.checks if check.id == "update.version")
    assert (check.verdict, check.summary) == (verdict, "2.0.0.7: forgets its address")
    assert check.remedy == "write 2.0.1"
    set_image(version="2.0.1.0")(folder)
    assert refused_by(judge(folder)) == []


def test_what_a_silent_adapter_runs_is_not_known(folder: Path) -> None:
    fake_adapter.change(folder / "adapter.json", running=None)
    report = judge(folder)
    assert refused_by(report) == ["update.direction"]
    assert report.summary == "what 2.0.0 replaces is not known"


@pytest.mark.parametrize("running", ["2.0.0", "3.0.0", "nonsense"])
def test_a_version_that_is_not_newer_must_be_asked_for_by_its_name(
    folder: Path, running: str
) -> None:
    fake_adapter.change(folder / "adapter.json", running=running)
    assert judge(folder, "1.9.9").outcome == "refused"
    assert judge(folder, "2.0.0").outcome == "planned"


@pytest.mark.parametrize("there", [{}, {"device_id": "8086:1572"}, {"address": "0000:05:00.0"}])
def test_an_adapter_that_was_swapped_or_unplugged_since_it_was_planned_refuses(
    folder: Path, there: dict[str, str]
) -> None:
    machine = fake_machine.machine(folder)
    plan = make_plan(fake_adapter.PORT, find_image(folder / "images/new.bin"), machine)
    (port,) = machine.ports()
    function = replace(port.pci[0], **there)
    now = [replace(port, bus_address=function.address, pci=(function,))] if there else []
    report = dry_run(plan, dataclasses.replace(machine, ports=lambda: now))
    assert refused_by(report) == ["update.adapter"]
    assert "plan the update again" in (report.remedy or "")


# --- power ----------------------------------------------------------------------------------------


def supply(folder: Path, name: str, **values: str) -> None:
    (folder / name).mkdir(parents=True)
    for key, value in values.items():
        (folder / name / key).write_text(f"{value}\n")


@pytest.mark.parametrize(
    ("online", "percent", "status", "verdict"),
    [
        ("1", "80", "Charging", "ok"),
        ("1", "50", "Charging", "ok"),
        ("1", "49", "Charging", "fail"),
        ("0", "100", "Discharging", "fail"),
        ("1", "90", "Discharging", "fail"),  # the supply is too weak
        ("0", "90", "Not charging", "fail"),
        ("1", "", "", "ok"),
    ],
)
def test_an_update_wants_ac_and_half_a_battery(
    tmp_path: Path, online: str, percent: str, status: str, verdict: str
) -> None:
    supply(tmp_path, "AC", type="Mains", online=online)
    if percent:
        supply(tmp_path, "BAT0", type="Battery", capacity=percent, status=status)
    assert check_power(tmp_path)[0] == verdict


@pytest.mark.parametrize(
    ("percent", "status", "verdict"),
    [
        ("80", "Unknown", "unknown"),
        ("", "Charging", "unknown"),
        ("80", "Full", "ok"),
        ("80", "Discharging", "fail"),
    ],
)
def test_a_battery_alone_proves_ac_only_by_its_status(
    tmp_path: Path, percent: str, status: str, verdict: str
) -> None:
    supply(tmp_path, "BAT0", type="Battery", capacity=percent, status=status)
    assert check_power(tmp_path)[0] == verdict


def test_the_battery_of_a_mouse_does_not_count(tmp_path: Path) -> None:
    supply(tmp_path, "AC", type="Mains", online="1")
    supply(tmp_path, "mouse", type="Battery", scope="Device", capacity="3", status="Discharging")
    assert check_power(tmp_path)[0] == "ok"


def test_a_machine_that_does_not_tell_its_power_must_be_vouched_for(folder: Path) -> None:
    for file in (folder / "power/AC").iterdir():
        file.unlink()
    report = judge(folder)
    assert report.outcome == "refused"
    assert refused_by(report) == ["update.power"]
    assert judge(folder, None, "power").outcome == "planned"


def test_an_adapter_of_no_known_family_must_be_vouched_for(folder: Path) -> None:
    fake_adapter.change(folder / "adapter.json", device_id="dead:beef")
    set_image(device="dead:beef")(folder)
    report = judge(folder)
    assert refused_by(report) == ["update.adapter"]
    assert judge(folder, None, "adapter").outcome == "planned"


def test_accepting_a_check_that_there_is_not_is_an_error(folder: Path) -> None:
    with pytest.raises(UpdateError, match="no check is called 'powr'; there are: image, "):
        judge(folder, None, "powr")


def test_what_fails_cannot_be_accepted(folder: Path) -> None:
    (folder / "power/AC/online").write_text("0\n")
    assert judge(folder, None, "power").outcome == "refused"


# --- images and versions --------------------------------------------------------------------------


def image(folder: Path, manifest: str = MANIFEST, content: bytes = b"x") -> Path:
    path = folder / "new.bin"
    path.write_bytes(content)
    (folder / "firmware.toml").write_text(manifest)
    return path


def test_a_pin_at_the_command_line_must_be_that_of_the_manifest(tmp_path: Path) -> None:
    path = image(tmp_path)
    assert find_image(path, SHA.upper()).sha256 == SHA
    with pytest.raises(ImageError, match="--sha256 is not what"):
        find_image(path, "b" * 64)


def test_a_pin_at_the_command_line_is_enough(tmp_path: Path) -> None:
    path = image(tmp_path, MANIFEST.replace(f'sha256 = "{SHA}"', ""))
    digest = sha256(b"x").hexdigest()
    assert find_image(path, digest).sha256 == digest
    with pytest.raises(ImageError, match="not pinned"):
        find_image(path)


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        (MANIFEST.replace("new.bin", "old.bin"), "not named"),
        (MANIFEST * 2, "more than once"),
        (MANIFEST.replace(SHA, "abc"), "no SHA-256"),
        (MANIFEST.replace("devices", "devices_"), "unknown field"),
        (MANIFEST.replace('["1924:0903"]', "[]"), "needs a version and devices"),
        (MANIFEST.replace("2.0.0", ""), "needs a version"),
        ("[[image]", "firmware.toml"),
    ],
)
def test_a_manifest_that_does_not_tell_all_is_an_error(
    tmp_path: Path, manifest: str, words: str
) -> None:
    with pytest.raises(ImageError, match=words):
        find_image(image(tmp_path, manifest))


def test_an_image_without_a_manifest_is_not_written(tmp_path: Path) -> None:
    (tmp_path / "new.bin").write_bytes(b"x")
    with pytest.raises(ImageError, match=r"firmware\.toml is missing"):
        find_image(tmp_path / "new.bin")


def read_or_refuse(raw: bytes) -> None:
    """Anything but ImageError is a defect."""
    try:
        images = parse_manifest(raw, "firmware.toml")
    except ImageError:
        return
    assert all(image.devices for image in images)


@given(st.one_of(st.binary(), st.text().map(str.encode), st.just(MANIFEST.encode())))
def test_any_bytes_are_a_manifest_or_an_error(raw: bytes) -> None:
    read_or_refuse(raw)


@given(st.data())
def test_a_damaged_manifest_is_a_manifest_or_an_error(data: st.DataObject) -> None:
    raw = bytearray(MANIFEST.encode())
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at : at + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=9))
    read_or_refuse(bytes(raw))


@given(st.binary())
def test_any_bytes_are_a_journal_up_to_their_torn_end_or_an_error(raw: bytes) -> None:
    try:
        entries, whole_bytes = parse(raw)
    except JournalError:
        return
    assert whole_bytes <= len(raw)
    assert len(entries) == raw[:whole_bytes].count(b"\n")


@pytest.mark.parametrize(
    ("version", "running", "newer"),
    [
        ("6.2.7.1001", "6.2.7.1000 rx1 tx1", True),
        ("v8.5.2.1000", "v8.5.10.1000", False),
        ("2.0.0", "2.0.0", False),
        ("8.50", "8.50 0x8000be1e 1.3082.0", False),
        ("9.0", "8.5.1", None),
        ("abc", "8.5.1", None),
        ("8.5.1", None, None),
    ],
)
def test_versions_are_compared_by_their_numbers(
    version: str, running: str | None, newer: bool | None
) -> None:
    assert is_newer(version, running) is newer


def test_one_version_printed_in_two_ways_is_the_same() -> None:
    assert same("6.2.7.1001", "v6.2.7.1001 rx1 tx1")
    assert same("8.00(8.00)", "8.00")
    assert not same("6.2.7.1001", "6.2.7.1000 rx1 tx1")
    assert not same("6.2.7.1001", None)


def test_every_tool_has_words_for_its_places(folder: Path) -> None:
    machine = fake_machine.machine(folder)
    for name, tool in TOOLS.items():
        if tool.drivers:
            set_image(tool=name)(folder)
            plan = make_plan(fake_adapter.PORT, find_image(folder / "images/new.bin"), machine)
            left = [word for word in plan.command if "{" in word]
            assert all("{image}" in word or "{folder}" in word for word in left), name


@pytest.mark.parametrize(("target", "tool"), [("eth9", "devlink"), ("eth2", "dd")])
def test_a_target_or_tool_that_is_not_there_is_an_error(
    folder: Path, target: str, tool: str
) -> None:
    set_image(tool=tool)(folder)
    with pytest.raises(UpdateError, match="there are"):
        make_plan(target, find_image(folder / "images/new.bin"), fake_machine.machine(folder))


def test_the_file_system_of_the_journal_is_that_of_the_nearest_mount() -> None:
    mounts = "overlay / overlay rw 0 0\n/dev/sda1 /var ext4 rw 0 0\ntmpfs /var/lib tmpfs rw 0 0"
    assert filesystem_of(Path("/var/lib/fieldtap"), mounts) == "tmpfs"
    assert filesystem_of(Path("/var/log"), mounts) == "ext4"
    assert filesystem_of(Path("/srv"), mounts) == "overlay"


def test_an_entry_that_does_not_fit_on_the_disk_is_refused_and_tears_nothing(
    tmp_path: Path,
) -> None:
    """A limit on the file's size stands for the full disk: both cut a write short."""
    journal = Journal(tmp_path / "journal")
    journal.append("plan", "begin")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (journal.path.stat().st_size + 20, limits[1]))
    try:
        with pytest.raises(OSError, match="journal"):
            journal.append("plan", "end")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    journal.append("plan", "end")
    journal.close()
    assert [entry.event for entry in Journal(journal.path).entries] == ["begin", "end"]
