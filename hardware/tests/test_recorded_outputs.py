"""Every recording that is at hand, as values: read by hand, or compared with another parser.

The recordings are not part of the project; without them these tests skip. `recorded_values.json`
holds the values that a reader finds in each.
"""

import json
import re
from pathlib import Path
from typing import cast

import pytest
import recorded
from fieldtap_hardware.explain import Explanation, explain
from fieldtap_hardware.explain.text import key_of
from fieldtap_hardware.licensed_apps import APPS

EXPECTED = json.loads(Path(__file__).with_name("recorded_values.json").read_text())

REASONS = {
    "ethtool-m.text.netlink-error.txt": "Unknown error 1820",
    "lspci-vv.sfc.sfc9020.partial.txt": "cut off",
    "pmc.PORT_DATA_SET.no-daemon.txt": "no clock answered PORT_DATA_SET",
    "sfupdate.v8.2.2.no-adapters.txt": "no adapter",
    "sfupdate.v8.2.4.write-progress.txt": "Validating stands at 0 %",
}
COMPARED = {  # with the values of another program, below
    "ethtool-m.jc.txt",
    "ethtool.default1.jc.txt",
    "ethtool.default2.jc.txt",
    "lspci-nnmmv.jc.txt",
    "ptp-log-lines.txt",
}


def read(name: str) -> Explanation:
    return explain(recorded.tool_of(name), recorded.read(name))


def expected_by_jc(name: str) -> object:
    return json.loads(recorded.read(name.replace(".txt", ".expected.json")))


@pytest.mark.parametrize("name", EXPECTED)
def test_a_recording_reads_as_exactly_its_values(name: str) -> None:
    verdict, items = EXPECTED[name]["verdict"], EXPECTED[name]["items"]
    explanation = read(name)
    assert {item.subject: item.values for item in explanation.items} == items
    assert len(explanation.items) == len(items)
    assert explanation.verdict == verdict
    assert REASONS.get(name, "") in (explanation.reason or "")
    assert (explanation.reason is None) == (verdict == "ok")


def test_no_recording_is_left_out() -> None:
    names = {name for _, name in recorded.samples()}
    assert names <= EXPECTED.keys() | COMPARED


@pytest.mark.parametrize("name", ["ethtool.default1.jc.txt", "ethtool.default2.jc.txt"])
def test_link_settings_agree_with_another_parser(name: str) -> None:
    expected = cast(dict[str, object], expected_by_jc(name))
    (item,) = read(name).items
    assert item.subject == expected.pop("name")
    level, words = cast(list[str], expected.pop("current_message_level"))
    assert item.values.pop("current_message_level") == level
    assert item.values.pop("current_message_words") == words.split()
    # It makes truth values of some words, and of these the wrong ones.
    for key, words_printed in {
        "auto_negotiation": ("on", "off"),
        "advertised_pause_frame_use": ("No", "Symmetric"),
    }.items():
        assert item.values.pop(key) in words_printed
        del expected[key]
    truth = {"Yes": True, "yes": True, "No": False, "Not reported": []}
    for key, value in expected.items():
        mine = item.values.pop(key)
        assert value in (mine, truth.get(str(mine), mine)), key
    assert not item.values


def test_a_module_agrees_with_another_parser() -> None:
    (item,) = read("ethtool-m.jc.txt").items
    assert item.values == expected_by_jc("ethtool-m.jc.txt")


def test_pci_devices_agree_with_another_parser() -> None:
    explanation = read("lspci-nnmmv.jc.txt")
    renamed = {"progif": "prog_if", "physlot": "phy_slot"}
    derived = ("domain", "bus", "dev", "function")
    expected = [
        {
            renamed.get(key, key): value
            for key, value in device.items()
            if key not in derived and not key.endswith("_int")
        }
        for device in cast(list[dict[str, str]], expected_by_jc("lspci-nnmmv.jc.txt"))
    ]
    assert [item.values for item in explanation.items] == expected
    assert explanation.verdict == "ok"


def test_the_log_of_ptp_daemons_gives_the_last_state_and_offset_of_each() -> None:
    explanation = read("ptp-log-lines.txt")
    values = {item.subject: item.values for item in explanation.items}
    phc2sys = values["phc2sys ens5f0 CLOCK_REALTIME"]
    assert (phc2sys["offset_ns"], phc2sys["servo_state"]) == (-233, "s2")
    assert (phc2sys["freq_ppb"], phc2sys["delay_ns"]) == (-77619, 1260)
    assert explanation.verdict == "unknown"  # some lines of it were broken on purpose
    assert "figures are garbled" in (explanation.reason or "")


def rows(name: str) -> list[list[str]]:
    lines = recorded.read(name).decode().strip().split("\n")
    return [line.split("\t") for line in lines[1:]]


def test_licensed_applications_are_those_of_the_vendors_header() -> None:
    assert [[hex(app.bit), app.name] for app in APPS] == rows("sf-licensed-app-ids.tsv")


def test_every_setting_that_sfboot_is_known_to_print_is_read_as_printed() -> None:
    text = recorded.read("sfboot.two-adapters.puppet.txt").decode()
    for field, printed, _ in rows("sfboot.vocabulary.tsv"):
        label = field.capitalize()
        changed = re.sub(rf"({label} {{2,}}).*", rf"\g<1>{printed}", text)
        explanation = explain("sfboot", changed.encode())
        assert explanation.verdict == "ok"
        assert {item.values[key_of(label)] for item in explanation.items} == {printed}
