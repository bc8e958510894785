"""Bundles: what is in them, what is not, and that no bytes from elsewhere do harm."""

import gzip
import hashlib
import io
import json
import resource
import tarfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from fieldtap_hardware import bundle as bundles
from fieldtap_hardware.budget import Basis, Ceiling
from fieldtap_hardware.bundle import BundleError, parse_bundle, read_bundle, write_bundle
from fieldtap_hardware.bypass import Duty, Relay, State
from fieldtap_hardware.checks import judge
from fieldtap_hardware.clock import ClockReading
from fieldtap_hardware.drives import Drive, Health, Temperature
from fieldtap_hardware.engine import Program
from fieldtap_hardware.ethtool import Timestamping
from fieldtap_hardware.interrupts import Interrupt, Interrupts
from fieldtap_hardware.loops import LoopRun
from fieldtap_hardware.optics import Module
from fieldtap_hardware.pci import PciFunction
from fieldtap_hardware.power import Supply, Throttling
from fieldtap_hardware.processor import IdleState, Processor
from fieldtap_hardware.raw_evidence import collect
from fieldtap_hardware.readings import PortReading, Readings
from fieldtap_hardware.redact import Redactor
from fieldtap_hardware.sending import Sent
from fieldtap_hardware.storage import Storage
from fieldtap_hardware.thunderbolt import Domain, Router, Tree
from fieldtap_hardware.verdicts import Unreadable, Verdict
from fieldtap_hardware.write_rate import Interval, RunningCapture, WriteRun
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_ports import PORT
from msgspec.structs import replace

ADAPTER = PciFunction(
    address="0000:01:00.0",
    device_id="1924:0903",
    subsystem_id="1924:8007",
    link_gtps=2.5,
    link_width=4,
    max_link_gtps=8.0,
    max_link_width=8,
    payload_bytes=128,
    removable=True,
)
STAMPS = Timestamping(
    phc_index=0,
    adapter_rx=True,
    adapter_rx_all=True,
    adapter_tx=True,
    host_rx=True,
    host_tx=True,
)
TAPPED = replace(
    PORT,
    firmware="6.2.7.1001 rx1 tx1",  # four numbers, and no address
    mac="00:0f:53:21:43:65",
    pci=(ADAPTER,),
    timestamping=STAMPS,
    addresses=("10.20.30.40/24", "fe80::20f:53ff:fe21:4365/64"),
)
MACHINE = Readings(
    taken_ns=1_795_579_336_000_000_000,
    ports=(TAPPED,),
    of_port={
        "eth0": PortReading(
            module=Module(
                kind="SFP",
                vendor="FINISAR CORP.",
                part="FTLX8571D3BCL",
                serial="UW5008K",
                readings=(),
                why_no_readings="it has none",
                defect=False,
            ),
            drops=(),
            sent=Sent(9, 0, 500),
            firmware_lldp=None,
            relay=Relay(
                source="bpctl_util",
                running=State.NORMAL,
                power_off=State.BYPASS,
                power_up=None,
                watchdog_ms=0,
                expiry=None,
            ),
            interrupts=Interrupts((Interrupt(30, (0, 1)),), (0, 1)),
        )
    },
    tree=Tree(
        (Domain(name="domain0", security="user", iommu_protects=True),),
        (
            Router(
                name="0-1",
                vendor="Razer",
                model="Core X",
                unique_id="c4010000-0070-740e-03f7-b3d4fa823b01",
                authorized=True,
                generation=3,
                lane_gbps=20.0,
                lanes=2,
                nvm_version="31.0",
            ),
        ),
    ),
    clocks={0: ClockReading(0, 20_000_100, 20_000_000), 1: Unreadable("/dev/ptp1: no permission")},
    processor=Processor(
        online=(0, 1, 2, 3),
        isolated=(),
        governors={"powersave": 4},
        frequency_driver="intel_pstate",
        turbo=True,
        idle_driver="intel_idle",
        idle_states=(IdleState("C10", 890),),
        latency_limit_us=None,
    ),
    supplies=(
        Supply(name="BAT0", kind="Battery", online=None, status="Full", capacity_percent=100),
    ),
    throttling=Throttling(3, 0),
    directory="/home/alice/captures",
    storage=Storage(size_bytes=10**12, available_bytes=10**11, writable=True),
    drive=Drive(
        device="/dev/nvme0n1",
        model="Samsung SSD 980 PRO 1TB",
        paravirtual=False,
        temperature=Temperature(41.0, 81.8, 84.8),
        health=Health(
            source="smartctl",
            model=None,
            passed=True,
            critical_warning=0,
            spare_percent=100,
            spare_threshold_percent=10,
            worn_percent=3,
            media_errors=0,
            bad_sectors=None,
            temperature_c=41.0,
        ),
    ),
    programs={
        "/home/alice/bin/ft-capture": Program(
            exists=True, executable=True, file_capabilities=0x3000, own_capabilities=0
        )
    },
    write_run=WriteRun(
        measured_ns=1,
        intervals=(Interval(0.5, 10**9),) * 9,
        disk_was_the_limit=True,
    ),
    captures=(RunningCapture("tap", 1e8, is_ring=False),),
    loops=(
        LoopRun(
            sender="eth1",
            receiver="eth0",
            frame_bytes=64,
            lossless_pps=1e7,
            tried_pps=(1.4e7, 1e7),
            seconds=2.0,
        ),
    ),
    measured={"TB3 tunnel 0-1": Ceiling(16e9, Basis.MEASURED, "a cable")},
)
RAW = {
    "eth0/ethtool-i.txt": "driver: sfc\nfirmware-version: 6.2.7.1001 rx1 tx1\n",
    "lspci-nn-vv.txt": "\t\t[SN] Serial number: 712200205071133867100591\n"
    "\tCapabilities: [140 v1] Device Serial Number 00-0f-53-ff-ff-21-43-65\n",
    "sfupdate.txt": "eth0 - MAC: 00-0F-53-21-43-65\n",
    "dmesg.txt": "[1] sfc 0000:01:00.0 eth0: on laptop7, key 0123456789abcdef0123456789abcdef\n",
    "eth0/ethtool-m.txt": "\tVendor SN                                 : UW5008K\n",
    "devlink.txt": '{"info":{"pci/0000:01:00.0":{"serial_number":"UW5008K","driver":"sfc"}}}\n',
    "odd.txt": "ssid=Alice at home\nlicense key: AB-12 CD\nPassword: hunter2\n",
}


def written(tmp_path: Path) -> Path:
    path = tmp_path / "machine.tar.gz"
    redactor = Redactor(names=("laptop7", "alice"))
    write_bundle(path, MACHINE, RAW, Duty.BLOCK, version="0.1.0", redactor=redactor)
    return path


def test_a_bundle_is_judged_as_the_machine_was(tmp_path: Path) -> None:
    manifest, readings = read_bundle(written(tmp_path))
    there = [(check.id, check.verdict) for check in judge(MACHINE).checks]
    here = [(check.id, check.verdict) for check in judge(readings).checks]
    assert here == there
    assert {Verdict.OK, Verdict.WARN, Verdict.FAIL} <= {verdict for _, verdict in here}
    assert readings.ports[0].firmware == TAPPED.firmware
    assert readings.measured == MACHINE.measured
    assert {entry.name for entry in manifest.files} == {
        "readings.json",
        "report.json",
        *(f"raw/{name}" for name in RAW),
    }


SECRETS = (
    "21:43:65", "21-43-65", "10.20.30.40", "fe21:4365", "alice", "Alice", "laptop7",
    "712200205071133867100591", "c4010000-0070", "0123456789abcdef", "AB-12", "hunter2", "UW5008K",
)  # fmt: skip


def test_nothing_that_tells_who_and_where_leaves_the_machine(tmp_path: Path) -> None:
    text = gzip.decompress(written(tmp_path).read_bytes()).decode()
    assert [secret for secret in SECRETS if secret in text] == []
    assert "00:0f:53:00:00:01" in text  # its vendor, and the same port wherever it occurs
    assert "00-0f-53-00-00-01" in text
    assert "6.2.7.1001" in text
    assert "192.0.2." in text


def test_links_between_addresses_stay_and_their_kinds_too() -> None:
    redactor = Redactor()
    first, again = redactor.address("10.0.0.1/8"), redactor.address("10.0.0.1/8")
    assert first == again != redactor.address("10.0.0.2/8")
    assert redactor.address("fe80::1/64").startswith("fe80::")
    assert redactor.address("127.0.0.1/8") == "127.0.0.1/8"
    assert redactor.address("not one") == "REMOVED"


@given(st.text(max_size=300))
def test_any_text_can_be_redacted_and_twice_is_as_once(text: str) -> None:
    once = Redactor(names=("host",)).text(text)
    assert Redactor(names=("host",)).text(once) == once


def test_names_are_removed_where_a_line_of_a_file_begins_with_them(tmp_path: Path) -> None:
    path = tmp_path / "machine.tar.gz"
    raw = {"files.json": {"/etc/os-release": "ID=x\nlaptop7\n00:0f:53:21:43:65\n"}}
    redactor = Redactor(names=("laptop7",))
    write_bundle(path, MACHINE, raw, Duty.BLOCK, version="0.1.0", redactor=redactor)
    text = gzip.decompress(path.read_bytes()).decode()
    assert "laptop7" not in text
    assert "21:43:65" not in text


def test_a_bundle_of_a_machine_with_hundreds_of_ports_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "machine.tar.gz"
    raw = {f"veth{number}/ethtool-i.txt": "driver: veth\n" for number in range(500)}
    write_bundle(path, MACHINE, raw, Duty.BLOCK, version="0.1.0", redactor=Redactor())
    assert len(read_bundle(path)[0].files) == 502


def test_a_bundle_that_does_not_fit_on_the_disk_leaves_the_older_one(tmp_path: Path) -> None:
    """A limit on the file's size stands for the full disk."""
    path = written(tmp_path)
    before, limits = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(OSError, match="large"):
            written(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    assert list(tmp_path.glob("*.tar.gz*")) == [path]


def test_of_the_kernels_log_only_what_is_about_hardware_is_taken() -> None:
    log = b"[1] sfc 0000:01:00.0: ready\n[2] usb 1-1: device of Alice\n[3] my service started\n"
    raw = collect(MACHINE, lambda command: log if command[0] == "dmesg" else Unreadable("absent"))
    assert raw["dmesg.txt"] == "[1] sfc 0000:01:00.0: ready\n"


def test_what_could_not_be_read_says_why_in_its_place() -> None:
    raw = collect(MACHINE, lambda command: Unreadable(f"{command[0]} is not installed"))
    assert raw["sfupdate.txt"] == "(nothing: sfupdate is not installed)\n"
    assert not any("sfkey" in name for name in raw)
    assert "eth0/ethtool-T.txt" in raw


# --- bundles from elsewhere -----------------------------------------------------------------------


def packed(add: Callable[[tarfile.TarFile], object]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        add(tar)
    return gzip.compress(buffer.getvalue())


def entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


@pytest.mark.parametrize(
    "hostile",
    [
        entry("raw", tarfile.DIRTYPE),
        entry("readings.json", tarfile.SYMTYPE, "/etc/shadow"),
        entry("readings.json", tarfile.LNKTYPE, "../../etc/shadow"),
        entry("fifo", tarfile.FIFOTYPE),
        entry("null", tarfile.CHRTYPE),
        entry("../../etc/cron.d/evil"),
        entry("/etc/passwd"),
    ],
    ids=lambda info: info.name,
)
def test_links_devices_and_names_that_climb_are_refused(
    hostile: tarfile.TarInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    monkeypatch.chdir(folder)
    with pytest.raises(BundleError):
        parse_bundle(packed(lambda tar: tar.addfile(hostile)))
    assert list(folder.iterdir()) == []


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    bomb = gzip.compress(bytes(bundles.MAX_BYTES + 1))
    with pytest.raises(BundleError, match="unpacks to more than"):
        parse_bundle(bomb)


def test_too_many_files_are_refused() -> None:
    def add(tar: tarfile.TarFile) -> None:
        for number in range(bundles.MAX_FILES + 1):
            tar.addfile(entry(str(number)))

    with pytest.raises(BundleError, match="more than"):
        parse_bundle(packed(add))


def test_a_file_that_was_changed_is_noticed(tmp_path: Path) -> None:
    files = unpacked(written(tmp_path))
    files["readings.json"] = files["readings.json"].replace(b'"carrier": true', b'"carrier": null')
    with pytest.raises(BundleError, match="was changed"):
        parse_bundle(repacked(files))


def unpacked(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        return {info.name: tar.extractfile(info).read() for info in tar}  # type: ignore[union-attr]


def repacked(files: dict[str, bytes]) -> bytes:
    def add(tar: tarfile.TarFile) -> None:
        for name, data in files.items():
            info = entry(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))

    return packed(add)


def forged(readings: object) -> bytes:
    """A bundle around any readings, with a manifest that fits."""
    data = json.dumps(readings).encode()
    manifest = {
        "schema": "fieldtap.bundle/1",
        "made_ns": 1,
        "version": "0",
        "removed": "",
        "files": [
            {
                "name": "readings.json",
                "bytes": len(data),
                "sha256": hashlib.sha256(data).hexdigest(),
            }
        ],
    }
    return repacked({"manifest.json": json.dumps(manifest).encode(), "readings.json": data})


VALUE = msgspec.to_builtins(MACHINE, str_keys=True)
WILD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(1 << 64), 1 << 64),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=40),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=8), st.integers(), max_size=3),
)


def test_readings_survive_the_way(tmp_path: Path) -> None:
    _, readings = parse_bundle(forged(VALUE))
    assert readings == MACHINE


def leaves(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    if isinstance(value, dict):
        return [leaf for key, entry in value.items() for leaf in leaves(entry, (*path, key))]
    if isinstance(value, list | tuple):
        return [leaf for at, entry in enumerate(value) for leaf in leaves(entry, (*path, at))]
    return [path]


def put(value: object, path: tuple[str | int, ...], wild: object) -> object:
    if not path:
        return wild
    key, rest = path[0], path[1:]
    copy = dict(value) if isinstance(value, dict) else list(value)  # type: ignore[call-overload]
    copy[key] = put(copy[key], rest, wild)
    return copy


@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.sampled_from(leaves(VALUE)), WILD), min_size=1, max_size=4))
def test_readings_with_wild_values_are_refused_or_judged(
    changes: list[tuple[tuple[str | int, ...], object]],
) -> None:
    value: object = VALUE
    for path, wild in changes:
        value = put(value, path, wild)
    try:
        _, readings = parse_bundle(forged(value))
    except BundleError:
        return
    report = judge(readings)
    assert all(text_is_safe(check.summary) for check in report.checks)


def text_is_safe(text: str) -> bool:
    return text.replace("\n", " ").isprintable()


@given(st.binary(max_size=600))
def test_any_bytes_are_no_bundle(data: bytes) -> None:
    for candidate in (data, gzip.compress(data)):
        with pytest.raises(BundleError):
            parse_bundle(candidate)


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(at=st.integers(0, 20_000), byte=st.integers(0, 255))
def test_a_damaged_tar_is_refused_or_read_as_it_was(at: int, byte: int) -> None:
    tar = bytearray(gzip.decompress(forged(VALUE)))
    tar[at % len(tar)] = byte
    try:
        _, readings = parse_bundle(gzip.compress(bytes(tar)))
    except BundleError:
        return
    assert readings == MACHINE


def test_terminal_codes_in_a_bundle_are_refused() -> None:
    for text in ("\x1b[2J", "a\x07", "\u202e"):
        with pytest.raises(BundleError, match="text that no reading has"):
            parse_bundle(forged(put(VALUE, ("ports", 0, "model"), text)))
