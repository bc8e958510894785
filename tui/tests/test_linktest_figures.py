"""The arithmetic and the words of link tests: against published figures, and for any input."""

from contextlib import suppress

import pytest
from fieldtap.failures import CommandError
from fieldtap.linktest import figures, profiles, quantities, quick, soak, stream_file, y1564
from fieldtap.linktest.judging import judge, worst
from fieldtap.linktest.outages import Links, LinkWatch
from fieldtap.linktest.results import Service
from fieldtap.linktest.search import longest_burst
from fieldtap.linktest.trial import Flow, Snapshot
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("frame_bytes", "expected"),
    [
        (64, 14_880_952),
        (128, 8_445_946),
        (256, 4_528_986),
        (512, 2_349_624),
        (1024, 1_197_318),
        (1280, 961_538),
        (1518, 812_744),
        (9018, 138_305),
    ],
)
def test_line_rates_are_those_of_ten_gigabit_ethernet(frame_bytes: int, expected: int) -> None:
    assert round(figures.line_pps(10e9, frame_bytes)) == expected


@given(st.integers(64, 9018), st.floats(1e3, 1e11))
def test_a_bit_rate_and_its_frames_are_the_same(frame_bytes: int, rate_bps: float) -> None:
    there = figures.pps(rate_bps, frame_bytes)
    assert figures.bps(there, frame_bytes) == pytest.approx(rate_bps)


@given(st.integers(1, 10**6), st.floats(0.01, 0.99), st.floats(1e3, 1.5e7))
def test_the_corrected_buffer_is_what_a_device_holds(
    depth_frames: int, share: float, burst_pps: float
) -> None:
    """A buffer that drains at the throughput takes depth / (1 - share) frames of a burst."""
    longest = depth_frames / (1 - share)
    implied = figures.implied_buffer_s(longest, burst_pps)
    corrected = figures.corrected_buffer_s(implied, share * burst_pps, burst_pps)
    assert corrected * burst_pps == pytest.approx(depth_frames)


@given(st.integers(0, 5000), st.integers(1, 5000), st.one_of(st.none(), st.integers(0, 6000)))
def test_the_longest_burst_is_found_from_any_hint(
    truth: int, highest: int, hint: int | None
) -> None:
    found = longest_burst(lambda count: count <= truth, highest, 0.0001, hint)
    assert found == min(truth, highest)


def test_ten_errored_seconds_in_a_row_are_not_available() -> None:
    good, bad = [0.0], [1.0]
    assert figures.availability([]) == (None, 0)
    assert figures.availability(good * 100) == (1.0, 0)
    assert figures.availability(good * 91 + bad * 9) == (1.0, 9)
    assert figures.availability(good * 90 + bad * 10) == (0.9, 10)
    assert figures.availability(bad * 10 + good * 9 + bad + good * 80) == (0.8, 11)


@given(st.lists(st.floats(0, 1), max_size=60))
def test_availability_is_a_share(ratios: list[float]) -> None:
    share, errored = figures.availability(ratios)
    assert share is None or 0 <= share <= 1
    assert 0 <= errored <= len(ratios)


def test_a_proved_failure_outranks_what_was_not_proved() -> None:
    assert worst(["ok", "invalid", "fail"]) == "fail"
    assert worst(["ok", "invalid", "measured"]) == "invalid"
    assert worst(["measured", "ok"]) == "ok"
    assert worst(["measured"]) == "measured"
    assert worst([]) == "invalid"


def test_without_limits_nothing_is_judged() -> None:
    assert judge([None], ["a note"]).verdict == "measured"
    assert judge([None, ("kept", True)]).verdict == "ok"
    assert judge([("kept", True), ("broken", False)]).reasons == ("broken",)


# --- services -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("eir_bps", "expected"), [(0.0, 125e6), (10e6, 135e6), (20e6, 125e6), (50e6, 162.5e6)]
)
def test_policing_is_tested_above_both_rates(eir_bps: float, expected: float) -> None:
    service = Service(name="s", frame_bytes=512, cir_bps=100e6, eir_bps=eir_bps)
    assert y1564.policing_bps(service) == pytest.approx(expected)


# --- words --------------------------------------------------------------------------------------


def test_a_quick_test_gives_tagged_frames_room_for_their_tag() -> None:
    assert quick.sizes(None) == (64, 512, 1518)
    assert quick.sizes(7) == (68, 516, 1522)


def test_quantities_are_read_as_a_user_writes_them() -> None:
    assert quantities.duration_s("90") == 90
    assert quantities.duration_s("1.5h") == 5400
    assert quantities.duration_s("250us") == pytest.approx(0.00025)
    assert quantities.ratio("0.1%") == pytest.approx(0.001)
    assert quantities.bit_rate_bps("2.5Gbps") == 2.5e9
    assert quantities.frames_pps("50%", 64, 1000) == 500
    assert quantities.frames_pps("10kpps", 64, 1000) == 10_000
    assert quantities.frames_pps("512kbps", 64, 1) == 1000
    assert quantities.sizes("standard", None) == (64, 128, 256, 512, 1024, 1280, 1518)
    assert quantities.sizes("64,64,9018", 100) == (68, 9022)
    assert quantities.limits(("throughput=95%", "latency=1ms")).latency_ns == pytest.approx(1e6)


@given(st.text(max_size=20))
def test_any_other_words_are_a_quantity_or_an_error(text: str) -> None:
    readers = (
        quantities.duration_s,
        quantities.ratio,
        quantities.bit_rate_bps,
        lambda word: quantities.frames_pps(word, 64, 1e6),
        lambda word: quantities.sizes(word, None),
        lambda word: quantities.limits((word,)),
    )
    for reader in readers:
        with suppress(CommandError):
            reader(text)


PROFILE = b"""
[[service]]
name = "voice"
size = 128
cir = "2Mbps"
eir = "1Mbps"
policed = true
vlan = 100
priority = 5
flr = "0.1%"
ftd = "10ms"
fdv = "2ms"
avail = "99.9%"
"""


def test_a_profile_names_rates_and_limits() -> None:
    (found,) = profiles.parse(PROFILE)
    assert found.frame_bytes == 132
    assert (found.cir_bps, found.eir_bps) == (2e6, 1e6)
    assert found.flr_max == pytest.approx(0.001)
    assert (found.ftd_max_ns, found.fdv_max_ns) == (10_000_000, 2_000_000)
    assert found.avail_min == pytest.approx(0.999)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"vlan = 4095", "vlan"),
        (b"priority = 8", "priority"),
        (b'cir = "fast"', "service 'voice': cir: 'fast' is not a bit rate"),
        (b"size = 10", "service 'voice': size: '10' is not a frame size"),
        (b"cir = 5", "cir"),
        (b"sizes = 64", "sizes"),
        (b'flr = "2"', "service 'voice': flr: '2' is not a share"),
        (b'ftd = "soon"', "service 'voice': ftd: 'soon' is not a time"),
        (b"= = =", ""),
    ],
)
def test_an_error_in_a_profile_is_named(line: bytes, said: str) -> None:
    key = line.split(b" ")[0]
    text = b"\n".join(entry for entry in PROFILE.splitlines() if not entry.startswith(key))
    with pytest.raises(CommandError) as caught:
        profiles.parse(text + b"\n" + line)
    assert said in str(caught.value)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_profile_or_an_error(data: bytes) -> None:
    with suppress(CommandError):
        profiles.parse(data)


def test_flows_become_streams_with_the_addresses_of_their_side() -> None:
    flows = (
        Flow(direction="b-a", frame_bytes=68, rate_pps=1000, vlan_id=7, priority=5),
        Flow(direction="b-a", frame_bytes=64, rate_pps=None, count=10),
    )
    text = stream_file.render(flows)
    assert text.count("[[stream]]") == 2
    assert 'ethernet = { source = "02:00:c6:13:00:01", destination = "02:00:c6:12:00:01" }' in text
    assert "vlan = { id = 7, priority = 5 }" in text
    assert 'rate = "1000.000pps"' in text
    assert text.count("rate = ") == 1  # a stream file has no word for the top speed of one stream
    assert "count = 10" in text
    assert not stream_file.is_plain(flows)


def test_frames_that_came_late_after_all_are_no_losses_of_a_soak() -> None:
    course = soak.begin(64, 1000, 10, LinkWatch(lambda: Links((), 0)))
    course.start(0)
    for second, lost in enumerate((0, 30, 30, 36, 6), 1):
        course(Snapshot(second * 1_000_000_000, second * 1000, second * 1000 - lost, lost))
    assert [(record.from_ns, record.lost) for record in course.losses] == [(1_000_000_000, 6)]
