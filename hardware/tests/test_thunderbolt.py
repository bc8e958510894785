"""Which enclosure an adapter is in, and when that is certain."""

from pathlib import Path

import pytest
from fieldtap_hardware.thunderbolt import (
    Domain,
    Router,
    Tree,
    attribute,
    check_enclosure,
    check_tree,
    read_tree,
    tunnels,
)
from fieldtap_hardware.verdicts import Check, Verdict
from msgspec.structs import replace
from sample_ports import ADAPTER, PORT

DOMAIN = Domain(name="domain0", security="user", iommu_protects=False)
HOST = Router(
    name="0-0",
    vendor="Dell",
    model="XPS",
    unique_id="a",
    authorized=True,
    generation=3,
    lane_gbps=None,
    lanes=None,
    nvm_version="36.1",
)
BOX = replace(HOST, name="0-1", vendor="Razer", model="Core X", lane_gbps=20.0, lanes=2)
BEHIND = replace(BOX, name="0-301")
TREE = Tree((DOMAIN,), (HOST, BOX))
BRIDGE = replace(ADAPTER, address="0000:00:1c.0", device_id="8086:15d3", link_gtps=2.5)
TUNNELLED = replace(PORT, pci=(replace(ADAPTER, removable=True), BRIDGE))


def tree(*routers: Router) -> Tree:
    return Tree((DOMAIN,), (HOST, *routers))


def only(checks: list[Check], id_: str) -> Check:
    (check,) = [check for check in checks if check.id == id_]
    return check


def test_one_authorised_device_is_certain() -> None:
    attribution = attribute(TUNNELLED, TREE)
    assert attribution is not None
    assert attribution.enclosure == BOX
    assert check_enclosure(TUNNELLED, TREE).verdict is Verdict.OK


@pytest.mark.parametrize(
    "others",
    [(), (BOX, BEHIND), (replace(BOX, authorized=False),), (replace(BOX, authorized=None),)],
)
def test_several_or_none_are_unknown_and_say_what_to_do(others: tuple[Router, ...]) -> None:
    check = check_enclosure(TUNNELLED, tree(*others))
    assert check.verdict is Verdict.UNKNOWN
    assert check.remedy is not None
    assert tunnels([TUNNELLED], tree(*others)) == {}


def test_a_device_that_waits_for_permission_leaves_the_other_certain() -> None:
    waiting = replace(BEHIND, authorized=False)
    assert check_enclosure(TUNNELLED, tree(BOX, waiting)).verdict is Verdict.OK


def test_an_adapter_in_the_machine_is_in_no_enclosure() -> None:
    assert check_enclosure(PORT, TREE).verdict is Verdict.NOT_APPLICABLE
    assert tunnels([PORT], TREE) == {}


def test_the_older_end_decides_the_generation() -> None:
    usb4 = replace(BOX, generation=4)
    assert tunnels([TUNNELLED], tree(usb4))["eth0"].generation == 3
    modern = Tree((DOMAIN,), (replace(HOST, generation=4), usb4))
    assert tunnels([TUNNELLED], modern)["eth0"].generation == 4
    faster = Tree((DOMAIN,), (replace(HOST, generation=4), replace(usb4, lane_gbps=40.0)))
    assert tunnels([TUNNELLED], faster)["eth0"].generation == 5


def test_a_link_below_its_generation_is_warned_of_and_has_no_published_ceiling() -> None:
    slow = tree(replace(BOX, lane_gbps=10.0))
    check = only(check_tree(slow), "thunderbolt.link")
    assert check.verdict is Verdict.WARN
    assert check.remedy is not None
    assert tunnels([TUNNELLED], slow) == {}


def test_a_tunnel_that_shows_one_lane_may_be_one_lane() -> None:
    one_lane = replace(TUNNELLED, pci=(TUNNELLED.pci[0], replace(BRIDGE, link_width=1)))
    assert tunnels([one_lane], TREE) == {}


def test_a_device_that_nobody_allowed_fails_with_the_words_to_allow_it() -> None:
    check = only(check_tree(tree(replace(BOX, authorized=False))), "thunderbolt.authorized")
    assert check.verdict is Verdict.FAIL
    assert check.remedy is not None
    assert "boltctl enroll" in check.remedy


@pytest.mark.parametrize(
    ("security", "protects", "verdict"),
    [
        ("user", False, "ok"),
        ("secure", None, "ok"),
        ("none", True, "ok"),
        ("none", False, "warn"),
        ("none", None, "warn"),
        ("dponly", True, "fail"),
        ("usbonly", True, "fail"),
        ("nopcie", True, "fail"),
        ("something new", True, "fail"),
        (None, None, "unknown"),
    ],
)
def test_security_decides_whether_adapters_can_be_used(
    security: str | None, protects: bool | None, verdict: str
) -> None:
    domain = Domain(name="domain0", security=security, iommu_protects=protects)
    check = only(check_tree(Tree((domain,))), "thunderbolt.security")
    assert check.verdict == verdict
    assert (check.remedy is None) == (verdict == "ok")


def test_odd_files_are_not_known_rather_than_guessed(tmp_path: Path) -> None:
    for name, files in {
        "domain0": {"security": "user\n"},
        "0-1": {"authorized": "7\n", "rx_speed": "fast\n", "rx_lanes": "99\n", "generation": "x"},
        "0-1.1": {},
        "usb4_port1": {},
    }.items():
        (tmp_path / name).mkdir()
        for file, text in files.items():
            (tmp_path / name / file).write_text(text)
    found = read_tree(lambda: sorted(tmp_path.iterdir()))
    (router,) = found.routers
    assert (router.authorized, router.lane_gbps, router.lanes) == (None, None, None)
    assert (router.generation, router.title) == (None, "0-1")
    assert [domain.name for domain in found.domains] == ["domain0"]
