"""The catalogue of adapters: its files, finding an adapter in them, and what follows."""

from pathlib import Path

import pytest
from fieldtap_hardware.adapter_checks import (
    check_adapter,
    check_backends,
    check_catalogue_file,
    judge_firmware,
)
from fieldtap_hardware.adapters import (
    CatalogueError,
    Family,
    Identity,
    identify,
    is_within,
    parse_family,
    read_catalogue,
    shipped,
    version_key,
)
from fieldtap_hardware.ports import Port
from fieldtap_hardware.verdicts import Verdict
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from sample_ports import ADAPTER, PORT

OWN = """
family = "Ours"
vendor = "Us"
drivers = ["sfc"]
[[chip]]
pci = "1924:0903"
name = "a chip"
[support]
state = "supported"
evidence = "we do"
source = "us"
[timestamps]
receive = "every frame"
source = "seen"
[firmware]
pattern = '^(\\d+(?:\\.\\d+){3})'
newest = "6.2.7.1001"
source = "seen"
[[firmware.minimum]]
use = "capture"
version = "5.0"
source = "seen"
[[backend]]
name = "afpacket"
works = "yes"
source = "seen"
"""


def identity(port: Port = PORT) -> Identity:
    found = identify(port, shipped())
    assert found is not None
    return found


def with_ids(device_id: str, subsystem_id: str | None) -> Port:
    adapter = replace(ADAPTER, device_id=device_id, subsystem_id=subsystem_id)
    return replace(PORT, pci=(adapter,))


# --- the files ------------------------------------------------------------------------------------


def test_every_family_that_was_promised_is_there() -> None:
    names = " ".join(family.family for family in shipped())
    for name in (
        *("Solarflare 5000/6000", "Solarflare 7000", "Solarflare 8000", "X2", "X3", "X4"),
        *("82599", "X540", "X710", "E810", "I210", "I225", "ConnectX-4 Lx", "ConnectX-5"),
        *("ConnectX-6 Dx", "AQC107", "AQC113", "BCM57", "Myri-10G", "virtio"),
    ):
        assert name in names


def test_no_two_families_claim_one_chip() -> None:
    ids = [chip.pci for family in shipped() for chip in family.chip]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("family", shipped(), ids=lambda family: family.family)
def test_every_family_says_who_captures_from_it(family: Family) -> None:
    assert {backend.name for backend in family.backend} >= {"afpacket", "afxdp"}
    for backend in family.backend:
        assert (backend.mode is None) == (backend.name == "afpacket" or backend.works != "yes")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("drivers", "driverz"), "driverz"),
        (('"1924:0903"', '"1924-0903"'), "regex"),
        (('"supported"', '"perhaps"'), "perhaps"),
        (('state = "supported"', 'state = "ended"'), "remedy"),
        (("^(\\d+(?:\\.\\d+){3})", "^\\d+"), "one group"),
        (("^(\\d+(?:\\.\\d+){3})", "("), "firmware.pattern"),
        (('version = "5.0"', 'version = "new"'), "version"),
        (('newest = "6', 'any_version = "x"\nnewest = "6'), "either"),
        (("[[chip]]", '[[chip]]\npci = "1924:0903"\nname = "a chip"\n[[chip]]'), "twice"),
        (("vendor", "vendor = 3 #"), "vendor"),
        (("family = ", "family "), "line 2"),
    ],
)
def test_a_mistake_in_a_file_is_told_in_one_line(change: tuple[str, str], words: str) -> None:
    parse_family(OWN)
    with pytest.raises(CatalogueError) as raised:
        parse_family(OWN.replace(*change))
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


@given(st.text(max_size=200) | st.integers(0, len(OWN)).map(lambda at: OWN[:at]))
def test_any_text_is_a_family_or_an_error_in_one_line(text: str) -> None:
    assert "\n" not in problem_of(text)


@pytest.mark.parametrize("value", [5000 * "9", 5000 * "["])
def test_figures_and_nesting_beyond_all_bounds_are_an_error_in_one_line(value: str) -> None:
    assert problem_of(f"family = {value}")


def problem_of(text: str) -> str:
    """What is wrong with a file; "" for a good one."""
    try:
        parse_family(text)
    except CatalogueError as error:
        return str(error)
    return ""


def test_a_file_of_ones_own_wins_and_a_broken_one_takes_nothing_with_it(tmp_path: Path) -> None:
    (tmp_path / "ours.toml").write_text(OWN)
    (tmp_path / "broken.toml").write_bytes(b"family = \xff")
    catalogue = read_catalogue(tmp_path)
    found = identify(PORT, catalogue.families)
    assert found is not None
    assert found.family.family == "Ours"
    assert catalogue.unusable == (tmp_path / "broken.toml",)
    check = check_catalogue_file(tmp_path / "broken.toml")
    assert (check.verdict, check.subject) == ("fail", str(tmp_path / "broken.toml"))
    assert check_catalogue_file(tmp_path / "ours.toml").verdict is Verdict.OK
    assert check_catalogue_file(tmp_path / "absent.toml").verdict is Verdict.FAIL


# --- identification -------------------------------------------------------------------------------


def test_a_board_is_certain_by_its_subsystem_id() -> None:
    found = identity()
    assert (found.family.family, found.board, found.exact) == (
        "Solarflare 7000",
        "SFN7122F-R1",
        True,
    )


@pytest.mark.parametrize("subsystem", ["1924:800c", "1924:9999", None])
def test_a_shared_or_foreign_subsystem_id_tells_the_family_only(subsystem: str | None) -> None:
    port = with_ids("1924:0903", subsystem)
    found = identity(port)
    assert not found.exact
    check = check_adapter(port, found)
    assert check.verdict is Verdict.UNKNOWN
    assert "only the family" in check.summary
    assert check.remedy is not None


def test_support_that_ended_is_a_warning_with_what_to_do() -> None:
    check = check_adapter(PORT, identity())
    assert check.verdict is Verdict.WARN
    assert check.remedy is not None
    assert check.evidence["support_source"]


def test_a_driver_that_crashes_fails_and_the_kernels_own_does_not() -> None:
    bad = replace(PORT, driver_version="5.3.16.1004")
    check = check_adapter(bad, identity(bad))
    assert check.verdict is Verdict.FAIL
    assert "crash" in check.summary
    assert check_adapter(replace(bad, driver_version="5.3.16"), identity()).verdict == "warn"
    old = with_ids("1924:0b03", "1924:8028")
    assert check_adapter(replace(old, driver_version="4.1"), identity(old)).verdict == "warn"
    assert check_adapter(old, identity(old)).verdict == "ok"


def test_another_driver_is_a_warning() -> None:
    x710 = replace(with_ids("8086:1572", None), driver="i40e")
    assert check_adapter(x710, identity(x710)).verdict is Verdict.OK
    assert check_adapter(replace(x710, driver="other"), identity(x710)).verdict is Verdict.WARN


def test_an_adapter_that_is_not_in_the_catalogue_is_unknown() -> None:
    port = with_ids("10ec:8125", None)
    assert identify(port, shipped()) is None
    for check in (check_adapter(port, None), check_backends(port, None)):
        assert check.verdict is Verdict.UNKNOWN
        assert check.remedy is not None


def test_a_paravirtual_adapter_is_known_by_its_bus() -> None:
    mmio = replace(PORT, bus="virtio", pci=(), driver="virtio_net")
    assert identity(mmio).family.family == "virtio"


def test_back_ends_are_told_with_their_mode() -> None:
    check = check_backends(PORT, identity())
    assert check.verdict is Verdict.OK
    assert check.summary == "captures by afpacket, afxdp (native copy)"
    x3 = with_ids("10ee:5084", None)
    assert check_backends(x3, identity(x3)).evidence["afxdp"] == "unknown"


# --- firmware -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("running", "verdict", "words"),
    [
        ("6.2.7.1001 rx1 tx1", "ok", "new enough"),
        ("4.7.1.1001 rx0 tx0", "ok", "new enough"),
        ("4.7.1.1000 rx0 tx0", "warn", "DPDK needs 4.7.1.1001"),
        ("4.10.0.0 rx0 tx0", "ok", "new enough"),
        ("6.2.7.1001 rx10a tx1", "fail", "self-test"),
        ("6.2.7", "unknown", "cannot be read"),
        ("garbled", "unknown", "cannot be read"),
    ],
)
def test_firmware_of_a_7000_is_judged_by_number(running: str, verdict: str, words: str) -> None:
    found, summary, remedy = judge_firmware(running, identity().family)
    assert (found, words in summary) == (verdict, True)
    assert (remedy is None) == (verdict == "ok")


@pytest.mark.parametrize(
    ("running", "verdict"),
    [("4.9.9.9", "fail"), ("5.0.0.0", "ok"), ("6.2.7.1001", "ok"), ("6.2.7.1002", "unknown")],
)
def test_firmware_below_what_capturing_needs_fails_and_newer_than_known_is_unknown(
    running: str, verdict: str
) -> None:
    assert judge_firmware(running, parse_family(OWN))[0] == verdict


def test_versions_compare_as_numbers_and_ranges_hold_what_they_leave_open() -> None:
    assert version_key("10.0") > version_key("9.9")  # type: ignore[operator]
    assert version_key("6.1.0-21-amd64") == (6, 1, 0)
    assert version_key("0x800003df") is None
    assert is_within((4, 1, 5), "4.0", "4.1")
    assert not is_within((4, 2), "4.0", "4.1")
    assert not is_within((3, 9), "4.0", "4.1")


@given(st.text(max_size=40))
def test_any_firmware_string_gets_a_verdict(running: str) -> None:
    for family in shipped():
        assert judge_firmware(running, family)[0] in Verdict
