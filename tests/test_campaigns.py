"""Short forms of the campaigns, and that their judges and their faulty disks are not lenient.

The long forms are `make overload edges crash powercut soak rotation measuring`; their figures are
in docs/results.md.
"""

import errno
import os
import random
import struct
import threading
import time
from pathlib import Path

import capturefile
import pytest
from campaigns import crash, edges, measuring, overload, powercut, rotation, soak
from campaigns.common import Outcome, repeat, scratch, unaccounted
from campaigns.disks import faulty_disk
from campaigns.faulty_fs import Faults
from campaigns.frames import GOLDEN, HEADER, MASK, only_stream
from fieldlab import Json, Lab

SEED = random.SystemRandom().randrange(1 << 32)
"""Another one each time; a turn that fails names its own."""


@pytest.mark.parametrize("stage", overload.STAGES)
def test_an_overloaded_stage_loses_frames_and_counts_each(link: Lab, stage: str) -> None:
    def turn(random: random.Random) -> Outcome:
        with scratch() as folder:
            (folder / "out").mkdir()
            return overload.STAGES[stage](random, link, folder / "out")

    tally = repeat(stage, turn, 1, SEED)
    assert tally.wrong == []


def test_captures_inside_streams_of_any_rate_are_whole_from_first_to_last() -> None:
    assert edges.campaign(4, SEED) == 0


def test_what_a_killed_capture_had_for_a_second_is_in_the_repaired_file() -> None:
    assert crash.campaign(6, SEED, most_s=1.6) == 0


def test_what_a_capture_had_for_two_seconds_survives_a_power_cut() -> None:
    assert powercut.campaign(1, SEED, most_s=4) == 0


def test_frames_across_rotations_of_each_kind_are_neither_missing_nor_double() -> None:
    assert rotation.campaign(len(rotation.SETTINGS) * 2, SEED) == 0


def test_a_device_that_impairs_frames_is_measured_exactly() -> None:
    assert measuring.campaign(4, SEED) == 0


def test_a_long_capture_with_retention_grows_nowhere_and_loses_nothing() -> None:
    with scratch() as folder:
        outcome = soak.soak(20, folder)
    # A few seconds say nothing of a rise a minute: that is for the hour.
    assert [line for line in outcome.wrong if not line.startswith("memory grows")] == []


# --- the judges ---------------------------------------------------------------------------------


def stamped(number: int) -> bytes:
    words = struct.pack(">QQQ", number, number * 1000, (number * GOLDEN ^ number * 1000) & MASK)
    return (HEADER + words).ljust(60, b"\0")


def judge(path: Path, frames: list[bytes]) -> list[str]:
    files = [capturefile.write_pcap(path, frames)]
    return crash.judge(files, due=8, sent=12, cut_ns=time.time_ns()).wrong


def test_a_file_that_keeps_the_promise_passes(tmp_path: Path) -> None:
    assert judge(tmp_path / "x.pcapng", [stamped(number) for number in range(10)]) == []


@pytest.mark.parametrize(
    ("frames", "said"),
    [
        ([*range(7)], "8 frames were due, 7 are there"),
        ([*range(4), *range(5, 12)], "gap: 5 comes after 3"),
        ([*range(8), 7, 8], "gap: 7 comes after 7"),
        ([*range(13)], "13 frames of 12 sent"),
        ([*range(1, 10)], "the first is [1]"),
    ],
)
def test_frames_missing_doubled_or_invented_are_named(
    tmp_path: Path, frames: list[int], said: str
) -> None:
    assert said in judge(tmp_path / "x.pcapng", [stamped(number) for number in frames])


def test_a_changed_byte_makes_a_frame_that_was_not_sent(tmp_path: Path) -> None:
    for changed in range(60):
        frame = bytearray(stamped(9))
        frame[changed] ^= 0x40
        path = capturefile.write_pcap(tmp_path / "x.pcap", [bytes(frame)])
        assert only_stream(path).foreign == 1


def passed(*numbers: int) -> list[measuring.Passed]:
    return [measuring.Passed("own", 0, number, 0, 5000) for number in numbers]


def test_a_report_that_counts_otherwise_than_the_device_is_named() -> None:
    seen = passed(0, 2, 1, 1, 4)
    rx: Json = {"frames": 5, "lost": 1, "duplicate": 1, "reordered": 1, "corrupt": 0, "foreign": 0}
    rx |= {"receiver_dropped": 0, "dropped": {}, "too_late": 0}
    stream: Json = {"id": 0, "tx": 5, "rx": 5, "latency_ns": {"samples": 4}}
    stream |= {name: rx[name] for name in ("lost", "duplicate", "reordered", "corrupt")}
    report: Json = {"tx": {"frames": 5}, "rx": rx, "streams": [stream]}
    assert measuring.judge_counts(report, seen) == []
    for name in ("frames", "lost", "duplicate", "reordered", "corrupt", "foreign"):
        told = report | {"rx": rx | {name: rx[name] + 1}}
        assert len(measuring.judge_counts(told, seen)) == 1, name
    for name in ("rx", "lost", "duplicate", "reordered", "corrupt"):
        told = report | {"streams": [stream | {name: stream[name] + 1}]}
        assert len(measuring.judge_counts(told, seen)) == 1, name


def report_with(**changes: object) -> Json:
    dropped = {"adapter": 0, "kernel": 2, "ring": 1, "disk": 0}
    port = {"offered": 10, "stored": 7, "filtered": 0, "excess": 0, "dropped": dropped}
    port |= {"derived": [], "wire": {"agrees": True}} | changes
    return {"balanced": True, "lost": 3, "ports": [port]}


def test_a_ledger_that_does_not_add_up_is_named() -> None:
    assert unaccounted(report_with(), sent=10) == []
    assert unaccounted(report_with(), sent=11) == ["10 offered, 11 sent"]
    assert unaccounted(report_with(stored=6), sent=10) == ["10 offered, but 9 in the parts"]
    assert unaccounted(report_with(derived=["offered"]), sent=10) == ["derived is ['offered']"]
    assert len(unaccounted(report_with(wire={"agrees": None}), sent=10)) == 1


def test_memory_that_grows_is_named() -> None:
    samples = [soak.Sample(10.0 * turn, 1000 + 20 * turn, 9, 0) for turn in range(100)]
    assert soak.judge_samples(samples).wrong == ["memory grows by 120.0 KiB a minute"]


# --- the faulty disk ----------------------------------------------------------------------------


@pytest.mark.parametrize(("fails", "number"), [(True, errno.EIO), (False, errno.ENOSPC)])
def test_a_faulty_disk_takes_what_it_was_allowed_and_then_fails_as_told(
    tmp_path: Path, *, fails: bool, number: int
) -> None:
    with faulty_disk(tmp_path, Faults(allowed_bytes=5000, fails=fails)) as disk:
        file = os.open(disk.folder / "x", os.O_WRONLY | os.O_CREAT)
        assert os.write(file, bytes(8000)) == 5000
        with pytest.raises(OSError, match=os.strerror(number)):
            os.write(file, b"x")
        os.close(file)


def test_a_faulty_disk_stalls_until_it_recovers(tmp_path: Path) -> None:
    with faulty_disk(tmp_path, Faults(stalled=True)) as disk:
        done = threading.Thread(target=(disk.folder / "x").write_bytes, args=(b"kept",))
        done.start()
        done.join(0.2)
        assert done.is_alive()
        disk.suffer(Faults())
        done.join(10)
        assert (disk.folder / "x").read_bytes() == b"kept"
