"""The screen of one run, and the receipt that it shows at the end."""

import os
from pathlib import Path

import pytest
from fieldtap import captures
from fieldtap.app import FieldtapApp
from fieldtap.screens.run import RunScreen
from textual.widgets import Static

EngineUnderTest = tuple[Path, str]


@pytest.fixture(autouse=True)
def _own_directories(
    engine: EngineUnderTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIELDTAP_RUN_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("FIELDTAP_BIN_DIR", str(engine[0].parent))


async def test_a_run_that_ends_leaves_its_receipt_on_the_screen(
    engine: EngineUnderTest, tmp_path: Path
) -> None:
    captures.start_capture("tap", ["-i", engine[1], "-w", str(tmp_path / "tap.pcapng")])
    app = FieldtapApp()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = RunScreen(captures.find("tap"))
        await app.push_screen(screen)
        captures.stop("tap")
        while not screen.ended:
            await pilot.pause()
        assert "ended after" in str(screen.query_one("#title", Static).content)
        assert "lost 0; the ledger balances" in str(screen.query_one("#ledger", Static).content)


def test_the_report_of_an_earlier_run_with_the_same_name_is_not_taken_for_this_ones(
    engine: EngineUnderTest, tmp_path: Path
) -> None:
    options = ["-i", engine[1], "-w", str(tmp_path / "tap.pcapng")]
    captures.start_capture("tap", options)
    first = captures.stop("tap")
    assert first.report is not None
    started = captures.start_capture("tap", options)
    assert started.status is not None
    os.kill(started.pid, 9)
    os.waitpid(started.pid, 0)
    assert captures.report_of(started.status) is None
