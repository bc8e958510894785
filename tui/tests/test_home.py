"""The first screen: what it says of ports and runs."""

import threading
from pathlib import Path

import pytest
from fieldtap import captures, rates, sessions
from fieldtap.app import FieldtapApp
from fieldtap.screens import home
from fieldtap_core.messages import Alarm, CapturePort, CaptureStatus, Dropped
from fieldtap_core.survey import Engine, Survey
from fieldtap_hardware.verdicts import Check, Verdict


def a_status(*, lost: int = 0, alarms: tuple[Alarm, ...] = ()) -> CaptureStatus:
    dropped = Dropped(adapter=0, kernel=lost, ring=0, disk=0)
    port = CapturePort(
        port="eth2",
        backend="afpacket",
        mode="tpacket_v3",
        timestamps="host",
        direction="both",
        offered=1000 + lost,
        stored=1000,
        filtered=0,
        excess=0,
        dropped=dropped,
        bytes_stored=60_000,
    )
    return CaptureStatus(
        schema="fieldtap.status/1",
        name="tap",
        pid=1,
        state="running",
        started_ns=0,
        now_ns=1_000_000_000,
        lost=lost,
        alarms=alarms,
        ports=(port,),
        files=(),
        output="tap.pcapng",
    )


def row_text(status: CaptureStatus) -> list[str]:
    return [str(cell) for cell in home.run_row(Engine(Path("x"), status), rates.Rates())]


def test_lost_frames_are_said_in_a_word_and_not_by_colour_alone() -> None:
    assert row_text(a_status())[-1] == "0"
    assert row_text(a_status(lost=12))[-1].split() == ["DROP", "12"]


def test_an_alarm_stays_in_the_list_of_runs() -> None:
    assert row_text(a_status(alarms=(Alarm(1, "disk full"),)))[1] == "▲ ALARM"


def test_what_is_not_ok_is_explained_with_its_remedy_and_the_rest_is_left_out() -> None:
    checks = [
        Check("port.link", "eth2", Verdict.FAIL, "has no carrier", {}, "check the [cable]"),
        Check("port.speed", "eth2", Verdict.OK, "runs at 10 Gb/s", {}),
        Check("port.pcie", "eth2", Verdict.NOT_APPLICABLE, "is virtual", {}),
    ]
    text = home.problems_text(checks).plain
    assert "✗ fail  eth2: has no carrier" in text
    assert "check the [cable]" in text
    assert "10 Gb/s" not in text
    assert "virtual" not in text


def test_both_tables_fit_the_console_of_80_columns() -> None:
    padding, margin = 2, 2
    for columns in (home.PORT_COLUMNS, home.RUN_COLUMNS):
        assert sum(width + padding for width in columns.values()) + margin <= 80


async def test_quitting_while_engines_are_asked_does_not_hang(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def slow_look() -> Survey:
        asked.set()
        go_on.wait()
        return Survey((), (), ())

    monkeypatch.setattr(captures, "look", slow_look)
    app = FieldtapApp()
    async with app.run_test() as pilot:
        while not asked.is_set():
            await pilot.pause()
        await pilot.press("q")
    go_on.set()


def test_help_shows_the_key_that_signs_receipts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIELDTAP_KEY_DIR", str(tmp_path))
    assert "no key yet" in sessions.key_words()
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIHSAxF/FuuD0YwLO43XbMGVbY6i8LbqmtR3uvJLD6Mc tap"
    (tmp_path / "receipt_ed25519.pub").write_text(key)
    line = sessions.key_words().splitlines()[-1].strip()
    assert (line[:7], len(line)) == ("SHA256:", 50)
