"""Recordings that were changed, cut, garbled or translated, and bytes that are no recording."""

import re
from collections.abc import Iterator

import msgspec
import pytest
import recorded
from fieldtap_hardware.explain import MAX_BYTES, TOOLS, Explanation, explain
from fieldtap_hardware.explain.model import Value
from fieldtap_hardware.explain.text import key_of
from hypothesis import assume, given
from hypothesis import strategies as st

UNKNOWN = "unknown"
# A sample of its own for each tool, so that these tests also run where no recordings are.
CONSTRUCTED = """\
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
LOG = "ptp-log"  # lines of many daemons, of which the last counts: other rules


def whole() -> list[tuple[str, str]]:
    """Tool and text of every recording that is read as whole."""
    texts = [(tool, recorded.read(name).decode()) for tool, name in recorded.samples()]
    texts.append(("ethtool-i", CONSTRUCTED))
    return [(tool, text) for tool, text in texts if explain(tool, text.encode()).verdict == "ok"]


WHOLE = whole()
SAMPLE = st.sampled_from(WHOLE)


def read(tool: str, text: str) -> Explanation:
    return explain(tool, text.encode())


def flat(explanation: Explanation) -> dict[tuple[int, str], Value]:
    return {
        (number, key): value
        for number, item in enumerate(explanation.items)
        for key, value in item.values.items()
    }


# --- changed digits -------------------------------------------------------------------------------

# What no check asks for: who wrote the tool, the request's number, a release that is not installed.
PASSED_OVER = re.compile(
    r"\s*(?:Copyright .*|.* seq [0-9] RESPONSE .*|.*@.*[#$]|[○●] .*|\[ *[0-9.]+\] sfc .*"
    r'|"(?:AppstreamId|Created|Description|Filename|Size|Summary|Uri)" : .*|"[0-9a-f]{40}"'
    r'|"https:.*)'
)
LABEL_DIGITS = re.compile(r"Length \(|length_|[0-9.]+V |priority2|leap|Priority2")


@given(SAMPLE, st.data())
def test_a_changed_digit_changes_its_value_and_no_other(
    sample: tuple[str, str], data: st.DataObject
) -> None:
    tool, text = sample
    places = [place for place, c in enumerate(text) if c in "0123456789"]
    assume(places)
    at = data.draw(st.sampled_from(places))
    digit = data.draw(st.sampled_from([c for c in "0123456789" if c != text[at]]))
    before, after = read(tool, text), read(tool, text[:at] + digit + text[at + 1 :])
    line = text[text.rfind("\n", 0, at) + 1 :].partition("\n")[0]
    if PASSED_OVER.fullmatch(line) or "utility" in line or tool == "dmesg":
        return
    assert after.items != before.items
    if LABEL_DIGITS.search(line) or "Region" in line or tool == "sensors":
        return  # the digit may be one of the label's
    old, new = flat(before), flat(after)
    changed = {at for at in old.keys() | new.keys() if old.get(at) != new.get(at)}
    assert len({number for number, _ in changed}) <= 1
    assert len(changed) <= 2  # a speed is given in words and as a number


def test_the_digits_that_change_nothing_are_few() -> None:
    lines = [line for _, text in WHOLE for line in text.split("\n")]
    assert sum(bool(PASSED_OVER.fullmatch(line)) for line in lines) < len(lines) / 10


# --- cut off --------------------------------------------------------------------------------------


def cuts() -> Iterator[tuple[str, str, int]]:
    for tool, text in WHOLE:
        step = max(1, len(text) // 400)
        yield from ((tool, text, at) for at in range(0, len(text), step))


def test_a_cut_is_unknown_or_where_it_cannot_be_seen_says_less_and_nothing_else() -> None:
    unseen = 0
    for tool, text, at in cuts():
        cut, full = read(tool, text[:at]), read(tool, text)
        if cut.verdict == UNKNOWN:
            assert cut.reason
            continue
        unseen += 1
        line_ends = text[at - 1] == "\n" or not text[at : at + 1].strip()
        assert line_ends or text[at:].lstrip(" \t") == text[at:].lstrip(), (tool, text[:at][-60:])
        for mine, theirs in zip(cut.items, full.items, strict=False):
            assert mine.subject == theirs.subject
            for key, value in mine.values.items():
                whole_value = theirs.values[key]
                if isinstance(value, list) and isinstance(whole_value, list):
                    assert whole_value[: len(value)] == value
                elif key != "last_s" and not isinstance(whole_value, list):
                    assert value == whole_value, (tool, key)
    assert unseen < 200  # of some ten thousand, each between two lines


@given(SAMPLE, st.data())
def test_a_cut_inside_a_line_is_unknown(sample: tuple[str, str], data: st.DataObject) -> None:
    tool, text = sample
    inside = [i for i in range(1, len(text) - 1) if not (text[i - 1] + text[i]).isspace()]
    at = data.draw(st.sampled_from([i for i in inside if "\n" not in text[i - 1 : i + 1]]))
    if "" in (text[at:].partition("\n")[0].strip(), text[:at].rpartition("\n")[2].strip()):
        return  # only white space of the line is gone, or left
    explanation = read(tool, text[:at])
    assert explanation.verdict == UNKNOWN
    assert explanation.reason


# --- garbled --------------------------------------------------------------------------------------


@given(SAMPLE, st.text("%&~!^", min_size=3, max_size=30), st.data())
def test_a_line_of_noise_makes_an_output_unknown(
    sample: tuple[str, str], noise: str, data: st.DataObject
) -> None:
    tool, text = sample
    lines = text.split("\n")
    if tool == "fwupd":  # what stands before its JSON may be anything
        lines = lines[next(i for i, line in enumerate(lines) if line.startswith("{")) :]
    at = data.draw(st.sampled_from([i for i, line in enumerate(lines) if line.strip()]))
    explanation = read(tool, "\n".join([*lines[:at], noise, *lines[at + 1 :]]))
    assert explanation.verdict == UNKNOWN
    assert explanation.reason


@given(st.sampled_from(sorted(TOOLS)), SAMPLE)
def test_the_output_of_another_tool_is_unknown(tool: str, sample: tuple[str, str]) -> None:
    if tool == sample[0]:
        return
    explanation = read(tool, sample[1])
    assert explanation.verdict == UNKNOWN
    assert explanation.reason


@given(st.sampled_from(sorted(TOOLS)), st.binary(max_size=400))
def test_any_bytes_give_an_explanation(tool: str, raw: bytes) -> None:
    explanation = explain(tool, raw)
    assert explanation.verdict != "ok"
    assert explanation.reason
    msgspec.json.encode(explanation)


@given(SAMPLE, st.data())
def test_any_damage_gives_an_explanation(sample: tuple[str, str], data: st.DataObject) -> None:
    tool, text = sample
    raw = bytearray(text.encode())
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(raw)))
        length = data.draw(st.integers(0, 40))
        put = data.draw(st.binary(max_size=12) | st.just(bytes(raw[: length + 1])))
        raw[at : at + length] = put
    explanation = explain(tool, bytes(raw))
    assert (explanation.reason is None) == (explanation.verdict == "ok")
    msgspec.json.encode(explanation)


@given(st.sampled_from(sorted(TOOLS)), st.recursive(st.none() | st.text(), st.lists))
def test_any_json_gives_an_explanation(tool: str, value: object) -> None:
    for document in ({"info": value}, {"Devices": value}, [{"identifier": value}], value):
        explanation = explain(tool, msgspec.json.encode(document) + b"\n")
        assert explanation.reason or explanation.verdict == "ok"


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "empty"),
        (b"\n \n", "empty"),
        (b"driver: \xff\xfe\n", "UTF-8"),
        (b"driver: \x00\n", "characters that no tool prints"),
        (b"x" * 5000, "longer than any"),
        (b"a\n" * MAX_BYTES, "larger than 4 MiB"),
        (b"[" * 200_000, None),
        (b'{"info":' * 50_000, None),
        (b"9" * 4000 + b"\n", None),
        (b'{"Devices": [{"Name": ' + b"9" * 5000 + b"}]}\n", None),
    ],
)
def test_what_no_tool_prints_is_unknown_with_the_reason(
    tool: str, raw: bytes, reason: str | None
) -> None:
    explanation = explain(tool, raw)
    assert explanation.verdict == UNKNOWN
    assert (reason or "") in (explanation.reason or "nothing")
    assert explanation.reason
    assert reason is None or explanation.items == ()


# --- recorded in another way ----------------------------------------------------------------------


@given(SAMPLE)
def test_line_ends_colours_and_marks_change_nothing(sample: tuple[str, str]) -> None:
    tool, text = sample
    full = read(tool, text)
    assert read(tool, text.replace("\n", "\r\n")) == full
    assert explain(tool, b"\xef\xbb\xbf" + text.encode()) == full
    assert explain(tool, text.encode("utf-16")) == full
    coloured = re.sub(r"(\w+)", "\x1b[1;32m\\1\x1b[0m", text)
    assert read(tool, coloured) == full
    assert read(tool, f"root@box:~# some-tool --option\n{text}root@box:~# \n").items == full.items


TRANSLATED = [
    ("ethtool-i", "driver:", "Treiber:"),
    ("ethtool-i", "firmware-version:", "version du micrologiciel:"),
    ("ethtool-T", "Capabilities:", "Fähigkeiten:"),
    ("ethtool-T", "PTP Hardware Clock:", "Horloge matérielle PTP :"),
    ("ethtool-m", "Vendor name  ", "Herstellername"),
    ("pmc", "meanPathDelay    20575.0", "meanPathDelay    20575,0"),
    ("boltctl", "Sun 15 Oct 2023 08:47:23 PM UTC", "So 15 Okt 2023 20:47:23 UTC"),
    ("boltctl", "Sat 06 Jan 2024 10:22:24 AM UTC", "sam. 06 janv. 2024 10:22:24 UTC"),
    ("boltctl", "status:", "Status:"),
    ("sfupdate", "Controller type:", "Controller-Typ:"),
    ("sfupdate", "The Bundle firmware is up to date", "Die Bundle-Firmware ist aktuell"),
    ("sfboot", "Boot image", "Startabbild"),
    ("devlink", "  driver ", "  Treiber "),
    ("devlink", "versions:", "Versionen:"),
    ("lspci", "Vendor:", "Hersteller:"),
    ("flint", "FW Version:", "FW-Version:"),
    ("fwupd", '"Name"', '"Nom"'),
    ("sensors", "+3.22 V", "+3,22 V"),
    ("ethtool", "Link detected:", "Verbindung erkannt:"),
]


@pytest.mark.parametrize(("tool", "english", "other"), TRANSLATED)
def test_an_output_in_another_language_is_unknown_with_the_reason(
    tool: str, english: str, other: str
) -> None:
    texts = [text for name, text in WHOLE if name == tool and english in text]
    if not texts:
        pytest.skip("no recording of it is here")
    for text in texts:
        explanation = read(tool, text.replace(english, other))
        assert explanation.verdict == UNKNOWN
        assert explanation.reason


@pytest.mark.parametrize(
    ("label", "key"),
    [
        ("Boot ROM version", "boot_rom_version"),
        ("firmware-version", "firmware_version"),
        ("fw.psid", "fw_psid"),
        ("offsetFromMaster", "offset_from_master"),
        ("gm.ClockClass", "gm_clock_class"),
        ("Length (62.5um)", "length_62_5um"),
        ("SVendor", "svendor"),
        ("DeviceId", "device_id"),
        ("rx speed", "rx_speed"),
    ],
)
def test_a_key_is_the_label_in_lower_case_with_underscores(label: str, key: str) -> None:
    assert key_of(label) == key
