"""Measuring for real: the engine's writer on this disk; what is kept, and for which machine."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fieldtap import disk_trial, measured
from fieldtap.cli_check import parse_size
from fieldtap.failures import CommandError
from fieldtap_core.start import Started
from fieldtap_hardware.budget import Basis, Ceiling
from fieldtap_hardware.thunderbolt import Tree
from fieldtap_hardware.verdicts import Unreadable
from fieldtap_hardware.write_rate import Interval, WriteRun
from made_ports import PORT
from msgspec.structs import replace

CHECKOUT = Path(__file__).parents[2]
BYTES = 1_000_000_000
RUN = WriteRun(measured_ns=1, intervals=(Interval(0.5, 10),), disk_was_the_limit=True)


@pytest.fixture(autouse=True)
def programs(monkeypatch: pytest.MonkeyPatch) -> None:
    if not os.access(CHECKOUT / "build/bin/ft-capture", os.X_OK):
        pytest.skip("build/bin/ft-capture is not built")
    monkeypatch.setenv("FIELDTAP_BIN_DIR", str(CHECKOUT / "build/bin"))


def test_the_engine_writes_what_was_asked_and_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "captures"
    folder.mkdir()
    if shutil.disk_usage(folder).free < BYTES + disk_trial.LEAVE_FREE_BYTES:
        pytest.skip("too little space")
    said: list[str] = []
    run = disk_trial.measure(folder, BYTES, said.append)
    assert list(folder.iterdir()) == []
    assert said[-1] == f"writing 1 GB to {folder}"
    if isinstance(run, Unreadable):  # a disk so fast that there was nothing to look at
        assert run.reason == "the run was too short to tell: give a larger --write"
    else:
        assert 0 < run.bytes <= BYTES
        assert all(interval.seconds > 0 for interval in run.intervals)


def test_a_disk_without_room_is_not_written(tmp_path: Path) -> None:
    more = shutil.disk_usage(tmp_path).total
    run = disk_trial.measure(tmp_path, more, print)
    assert isinstance(run, Unreadable)
    assert "are needed" in run.reason


def test_nothing_is_measured_beside_a_running_engine(running: Started, tmp_path: Path) -> None:
    run = disk_trial.measure(tmp_path, BYTES, print)
    assert run == Unreadable("tap is running, and could lose frames by it")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_was_written_is_removed_whatever_ends_the_measuring(
    tmp_path: Path, number: signal.Signals
) -> None:
    folder = tmp_path / "captures"
    folder.mkdir()
    if shutil.disk_usage(folder).free < 20 * BYTES + disk_trial.LEAVE_FREE_BYTES:
        pytest.skip("too little space")
    command = ["env", "--default-signal=HUP,INT,TERM"]  # as in a terminal, whatever started this
    command += [sys.executable, "-m", "fieldtap", "check", "--measure", "--write", "20GB"]
    process = subprocess.Popen(
        [*command, "--dir", folder],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"FIELDTAP_RUN_DIR": str(tmp_path), "FIELDTAP_STATE_DIR": str(tmp_path)},
    )
    while process.poll() is None and not list(folder.glob("*/*")):
        time.sleep(0.02)
    process.send_signal(number)
    assert process.wait(60) == 130
    assert list(folder.iterdir()) == []


def test_a_folder_that_is_not_there_is_said_in_the_systems_words(tmp_path: Path) -> None:
    run = disk_trial.measure(tmp_path / "missing", BYTES, print)
    assert run == Unreadable("No such file or directory")


# --- what is kept ---------------------------------------------------------------------------------


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "state"
    monkeypatch.setenv("FIELDTAP_STATE_DIR", str(folder))
    return folder


def test_figures_are_kept_whole(state: Path) -> None:
    ceilings = {measured.place(PORT, Tree()): {"0000:01:00": Ceiling(1e9, Basis.MEASURED, "here")}}
    kept = measured.Measured(ceilings=ceilings, writes={"a": RUN})
    assert measured.save(kept) == state / measured.FILE
    assert measured.load() == kept
    assert [path.name for path in state.iterdir()] == [measured.FILE]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": "fieldtap.measured/9"}'])
def test_a_file_that_is_not_understood_counts_as_none(state: Path, text: str) -> None:
    state.mkdir()
    (state / measured.FILE).write_text(text)
    assert measured.load() == measured.Measured()


def test_a_ceiling_holds_only_where_it_was_measured() -> None:
    ceiling = Ceiling(1e9, Basis.MEASURED, "here")
    kept = measured.Measured(ceilings={measured.place(PORT, Tree()): {"hop": ceiling}})
    assert measured.ceilings_of(kept, [PORT], Tree()) == {"hop": ceiling}
    elsewhere = replace(PORT, bus_address="0000:02:00.0")
    assert measured.ceilings_of(kept, [elsewhere], Tree()) == {}


@pytest.mark.parametrize(
    ("text", "size"),
    [("8GB", 8 * 10**9), ("512MiB", 512 << 20), ("4096", 4096), ("1 TB", 10**12), ("2k", 2000)],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "0", "GB", "-1", "1.5GB", "8 gigabytes", "9" * 30])
def test_what_is_no_size_is_said(text: str) -> None:
    with pytest.raises(CommandError, match="is not a size"):
        parse_size(text)
